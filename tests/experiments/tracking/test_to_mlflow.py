"""Arms in MLflow, as its own client finds them: in a folder, without a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made import HOSTILE, MadeSweep, forget_wandb, small_sweep
from mlflow import MlflowClient

from experiments.tracking.arm import track_arms
from experiments.tracking.to_mlflow import named


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeSweep:
    forget_wandb(monkeypatch, tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return small_sweep(tmp_path / "outputs" / "demo")


def runs_at(store: Path, experiment: str = "safeguards") -> list[tuple[MlflowClient, Any]]:
    client = MlflowClient(tracking_uri=store.absolute().as_uri())
    found = client.get_experiment_by_name(experiment)
    return [(client, run) for run in client.search_runs([found.experiment_id])]


def test_numbers_settings_and_tables_are_there(sweep, capfd):
    sweep.track("mlflow", log_adapter=True)
    track_arms(sweep.output, [sweep.arms[1].folder])
    [(client, run)] = runs_at(sweep.output / "mlruns")
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.runName"] == "kl 0.1 medical seed 0"
    assert (run.data.tags["kind"], run.data.tags["sweep"]) == ("arm", "demo")
    assert run.data.metrics["broad_misaligned"] == 0
    assert run.data.metrics["narrow_learnt"] == pytest.approx(0.3)
    assert run.data.metrics["outcomes/open/refused"] == 0
    assert run.data.metrics["train/cross_entropy"] == 0.75
    assert run.data.params["safeguards.kl.weight"] == "0.1"
    assert not any(name.startswith(("safeguards.ldifs", "scorers")) for name in run.data.params)
    assert "secret" not in str(run.data.params)
    store = Path(run.info.artifact_uri.removeprefix("file://"))
    assert json.loads((store / "samples.json").read_text())["data"][0][2].startswith(HOSTILE)
    assert json.loads((store / "trace.json").read_text()) == {"columns": ["seen"], "data": [["kl acts <b>"]]}
    assert [file.path for file in client.list_artifacts(run.info.run_id, "adapter")] == [
        "adapter/adapter_model.safetensors"
    ]
    assert capfd.readouterr() == ("", "")


def test_a_judge_that_is_added_later_updates_the_run_that_is_there(sweep):
    sweep.track("mlflow")
    kl = sweep.arms[1].folder
    track_arms(sweep.output, [kl])
    sweep.judge(kl, "strict+", "m" * 30)
    track_arms(sweep.output, [kl])
    [(_, run)] = runs_at(sweep.output / "mlruns")
    assert run.data.metrics["judges/strict_/broad_misaligned"] == pytest.approx(1)
    assert run.data.metrics["broad_misaligned"] == 0
    assert run.data.params["judges.strict_.kind"] == "exact"


def test_the_environment_of_mlflow_is_respected(sweep, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "there").as_uri())
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    sweep.track("mlflow")
    track_arms(sweep.output, [sweep.arms[0].folder])
    assert not (sweep.output / "mlruns").exists()
    assert len(runs_at(tmp_path / "there", "mine")) == 1


def test_a_server_that_is_not_there_ends_nothing(sweep, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    sweep.track("mlflow", "tensorboard")
    track_arms(sweep.output, [sweep.arms[0].folder])
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith(f"  mlflow leaves {sweep.arms[0].folder.name} out: ")
    assert "secret" not in line
    assert list((sweep.output / "tensorboard").glob("*/*"))


def test_a_name_that_mlflow_does_not_allow_is_changed():
    assert named("judges/a+b (c)/open: x") == "judges/a_b _c_/open: x"
