"""A sweep by an engine other than Hydra's own, as a user types it: the same answers, and one line if it is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

SMALL = [
    "safeguard=none", "task=medical", "seed=0", "wandb=disabled", "curve.looks=0", "training.epochs=0.1",
    "probes.sets=[open]", "probes.samples=1", "probes.max_new_tokens=8",
]  # fmt: skip
ENGINES = {
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "submitit_local": ["hydra/launcher=submitit_local", "hydra.launcher.cpus_per_task=1"],
}


def start(folder: Path, *overrides: str) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.sweep", *SMALL, *overrides],
        cwd=folder, env={**os.environ, "HF_HUB_OFFLINE": "1"}, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip


def answers(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in folder.glob("outputs/sweep/arms/*/answers.jsonl")}


@pytest.fixture(scope="module")
def one_after_another(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("basic")
    said, wrong = (run := start(folder)).communicate(timeout=300)
    assert run.returncode == 0, wrong
    assert len(answers(folder)) == 2
    assert "\ntime: training " in said
    return answers(folder)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_answers_as_one_process_does(one_after_another, engine, tmp_path):
    said, wrong = (run := start(tmp_path, *ENGINES[engine])).communicate(timeout=300)
    assert run.returncode == 0, wrong
    assert answers(tmp_path) == one_after_another
    assert "[1/2] untouched · medical · seed 0 · organism" in said
    assert "\ntime: training " in said, "workers tell what they spent"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_terminated_sweep_takes_its_workers_along(engine, tmp_path):
    run = start(tmp_path, *ENGINES[engine])
    process, deadline = psutil.Process(run.pid), time.monotonic() + 120
    while not (workers := started(process, engine)) and time.monotonic() < deadline:
        time.sleep(0.2)
    run.send_signal(signal.SIGTERM)
    _, wrong = run.communicate(timeout=60)
    assert run.returncode == 143, wrong
    # Seldom not the last line: Python's own tracker of semaphores may complain of those that killed workers had.
    assert "terminated: what is done is kept, and the same command goes on from there" in wrong.splitlines()
    assert workers
    assert psutil.wait_procs(workers, 15)[1] == []


def started(process: psutil.Process, engine: str) -> list[psutil.Process]:
    """The processes that run arms, once there are some."""
    mark = {"joblib": "LokyProcess", "submitit_local": "submitit.core._submit"}[engine]
    return [one for one in process.children(recursive=True) if mark in " ".join(one.cmdline())]
