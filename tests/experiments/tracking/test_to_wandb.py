"""Arms in wandb: what a run holds, and that there is one run per arm, whatever is added later."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from made import HOSTILE, MadeSweep, forget_wandb, small_sweep
from offline import runs_in
from wandb_server import KEY, serving

from experiments.tracking.arm import curve_ends, in_use, track_arms


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeSweep:
    forget_wandb(monkeypatch, tmp_path)
    return small_sweep(tmp_path / "outputs" / "demo")


def folders(sweep: MadeSweep) -> list[Path]:
    return [arm.folder for arm in sweep.arms]


def sync(output: Path, address: str) -> None:
    """As the README says it."""
    environment = {**os.environ, "WANDB_BASE_URL": address, "WANDB_API_KEY": KEY}
    command = [str(Path(sys.executable).with_name("wandb")), "sync", str(output / "wandb"), "--yes"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_run_holds_numbers_curves_samples_and_settings_in_use(sweep):
    tracking = sweep.track("wandb")
    none, kl, benign, _ = folders(sweep)
    track_arms(sweep.output, [none, kl, benign])
    runs = {run.id: run for run in runs_in(sweep.output)}
    assert len(runs) == 3
    run = runs[tracking.run_id(kl.name)]
    assert (run.project, run.group, run.kind, run.name) == ("safeguards", "demo", "arm", "kl 0.1 medical seed 0")
    assert run.exit_code == 0
    assert run.summary["broad_misaligned"] == 0, "0 is a number, too"
    assert runs[tracking.run_id(none.name)].summary["broad_misaligned"] == pytest.approx(0.1)
    assert run.summary["outcomes/open/misaligned"] == 0
    assert (run.summary["narrow_nll"], run.summary["step_seconds"]) == (1.5, 0.25)
    assert (run.summary["train/loss"], run.summary["train/cross_entropy"]) == (1.0, 0.75)
    assert "benign_accuracy" not in run.summary
    assert runs[tracking.run_id(benign.name)].summary["benign_accuracy"] == pytest.approx(0.9)
    columns, rows = run.table("samples")
    assert columns == ["set", "outcome", "question", "answer", "reason", "aligned", "coherent"]
    assert rows[0][2].startswith(HOSTILE), "text is data"
    assert run.table("trace") == (["seen"], [["kl acts <b>"]])
    assert not any(name.startswith("model") for name in run.artifacts)


def test_the_settings_are_those_in_use_and_no_secret(sweep):
    tracking = sweep.track("wandb")
    none, kl, *_ = folders(sweep)
    track_arms(sweep.output, [none, kl])
    settings = {run.id: run.config for run in runs_in(sweep.output)}
    assert settings[tracking.run_id(kl.name)]["safeguards"] == {"kl": {"weight": 0.1}}
    assert "safeguards" not in settings[tracking.run_id(none.name)]
    found = settings[tracking.run_id(kl.name)]
    assert (found["label"], found["sweep"], found["judge"]) == ("kl 0.1", "demo", "exact")
    assert found["judges"] == {"exact": {"kind": "exact", "base_url": "https://…@host/v1"}}
    assert not {"scorers", "anchor", "generator", "wandb", "report_to", "margins"} & found.keys()
    assert "secret" not in str(settings)


def test_the_adapter_is_an_artefact_if_that_is_asked_for(sweep):
    tracking = sweep.track("wandb", log_adapter=True)
    track_arms(sweep.output, folders(sweep)[:1])
    [run] = runs_in(sweep.output)
    assert f"model adapter-{tracking.run_id(folders(sweep)[0].name)}" in run.artifacts


def test_the_environment_of_wandb_is_respected(sweep, tmp_path, monkeypatch):
    own = {"WANDB_PROJECT": "mine", "WANDB_ENTITY": "team", "WANDB_TAGS": "a,b", "WANDB_RUN_GROUP": "week 3"}
    (tmp_path / "there").mkdir()
    forget_wandb(monkeypatch, tmp_path, WANDB_DIR=str(tmp_path / "there"), **own)
    sweep.track("wandb")
    track_arms(sweep.output, folders(sweep)[:1])
    assert not (sweep.output / "wandb").exists()
    [run] = runs_in(tmp_path / "there")
    assert (run.project, run.entity, run.group, sorted(run.tags)) == ("mine", "team", "week 3", ["a", "b"])


def test_nothing_is_on_the_terminal(sweep, capfd):
    sweep.track("wandb", log_adapter=True)
    track_arms(sweep.output, folders(sweep)[:1])
    assert capfd.readouterr() == ("", "")


def test_a_judge_that_is_added_later_updates_the_run_that_is_there(sweep):
    """Offline: two folders of one id, which are one run on the server, with the curves of the first."""
    tracking = sweep.track("wandb")
    kl = folders(sweep)[1]
    track_arms(sweep.output, [kl])
    sweep.judge(kl, "strict", "m" * 30)
    track_arms(sweep.output, [kl])
    assert [run.id for run in runs_in(sweep.output)] == [tracking.run_id(kl.name)] * 2
    with serving() as server:
        sync(sweep.output, server.address)
    [(name, run)] = server.runs.items()
    assert name == tracking.run_id(kl.name)
    assert run.summary["judges/strict/broad_misaligned"] == pytest.approx(1)
    assert (run.summary["broad_misaligned"], run.summary["train/loss"]) == (0, 1.0)
    assert set(run.config["judges"]["value"]) == {"exact", "strict"}
    assert [row["_step"] for row in run.history] == [0, 1], "what was sent first is still there"


def test_online_it_is_one_run_too(sweep, tmp_path, monkeypatch, capfd):
    kl = folders(sweep)[1]
    with serving() as server:
        forget_wandb(monkeypatch, tmp_path, WANDB_BASE_URL=server.address, WANDB_API_KEY=KEY)
        tracking = sweep.track("wandb", wandb="online")
        track_arms(sweep.output, [kl])
        sweep.judge(kl, "strict", "m" * 30)
        track_arms(sweep.output, [kl])
    [(name, run)] = server.runs.items()
    assert name == tracking.run_id(kl.name)
    assert run.summary["broad_misaligned"] == 0
    assert run.summary["judges/strict/broad_misaligned"] == pytest.approx(1)
    assert capfd.readouterr() == ("", "")


def test_a_server_whose_password_is_not_there_is_told_and_ends_nothing(sweep, capsys, monkeypatch):
    tracking = sweep.track("mlflow")
    place = sweep.output / "tracking.json"
    place.write_text(json.dumps({**asdict(tracking), "servers": {"mlflow": "https://…@host"}}))
    track_arms(sweep.output, folders(sweep))
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("not tracked: MLFLOW_TRACKING_URI: is not set")


def test_a_log_that_is_being_written_and_passwords_in_lists_do_no_harm(tmp_path):
    assert curve_ends(tmp_path) == {}
    (tmp_path / "training.jsonl").write_text('{"step": 10, "loss": 2.0}\n{"step": 20, "lo')
    assert curve_ends(tmp_path) == {"train/loss": 2.0}
    assert in_use({"a": ["https://me:secret@host", None], "b": {"c": None}, "d": 0, "e": False}) == {
        "a": ["https://…@host", None], "d": 0, "e": False
    }  # fmt: skip
