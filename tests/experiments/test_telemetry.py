"""No library reports usage, unless whoever runs us says so."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import pytest

import experiments
import safeguards

SILENT = [
    (safeguards, "HF_HUB_DISABLE_TELEMETRY", "1"),
    (experiments, "VLLM_NO_USAGE_STATS", "1"),
    (experiments, "RAY_USAGE_STATS_ENABLED", "0"),
    (experiments, "MLFLOW_DISABLE_TELEMETRY", "true"),
    (experiments, "WANDB_ERROR_REPORTING", "false"),
    (experiments, "DO_NOT_TRACK", "1"),
]


@pytest.mark.parametrize(("package", "name", "value"), SILENT)
def test_reports_of_usage_are_off_once_the_package_is_imported(package, name, value, monkeypatch):
    monkeypatch.delenv(name, raising=False)
    importlib.reload(package)
    assert os.environ[name] == value
    monkeypatch.setenv(name, "chosen")
    importlib.reload(package)
    assert os.environ[name] == "chosen"


@pytest.mark.parametrize(
    "asked",
    [
        "from mlflow.telemetry.utils import is_telemetry_disabled as off; assert off()",
        "from wandb import env; assert not env.error_reporting_enabled()",
    ],
)
def test_trackers_take_what_we_tell_them_for_no(asked):
    """By the functions that they ask themselves, in a process that nobody told anything."""
    told = {name: value for name, value in os.environ.items() if name not in experiments.SILENT}
    subprocess.run([sys.executable, "-c", f"import experiments; {asked}"], env=told, check=True)
