"""A real arm in all three trackers: its curves while it trains, and its numbers at the end."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from hydra import initialize_config_dir
from made import forget_wandb
from mlflow import MlflowClient
from offline import OfflineRun, runs_in
from report.test_report import Sweep
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from experiments.arm.run import run_arm
from experiments.config.compose import CONF
from experiments.planning.plan import PlannedArm, describe, make_plan
from experiments.records.arm_files import RESULT, read_result
from experiments.records.sweep_file import join_sweep, read_sweep
from experiments.report.arms import read_arms
from experiments.report.comparison import compare
from experiments.rescore import main as rescore
from experiments.tracking import guarded
from experiments.tracking.arm import begun, entry_of, track_arms
from experiments.tracking.dashboard import Logged, story
from experiments.tracking.record import Tracking, tracking_of
from safeguards.errors import SafeguardError

BRIEF = (
    *("safeguard=kl", "seed=0", "task=medical", "task.rows=64", "training.epochs=6", "training.proof=off"),
    *("probes.sets=[open]", "probes.samples=1", "probes.max_new_tokens=6", "curve.looks=0", "monitor.on=true"),
    *("safeguards.kl.weight=1.0", "name=demo", "report_to=[wandb,tensorboard,mlflow]"),
)


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> PlannedArm:
    """An arm under `kl`, watched by a monitor, as a sweep runs it."""
    folder = tmp_path_factory.mktemp("tracked")
    with pytest.MonkeyPatch.context() as monkeypatch, initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        forget_wandb(monkeypatch, folder)
        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        plan = make_plan([*BRIEF, f"output={folder}"])
        assert not plan.failures
        arm = plan.arms[-1]
        join_sweep(folder / "demo", "exact", [describe(arm)])
        run_arm(arm.config, arm.folder)
    return arm


@pytest.fixture(scope="module")
def run(arm: PlannedArm) -> OfflineRun:
    [run] = runs_in(arm.folder.parents[1])
    return run


def log(arm: PlannedArm) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (arm.folder / "training.jsonl").read_text().splitlines()]
    return [line for line in lines if "loss" in line]


def test_the_curves_in_wandb_are_the_training_log(arm, run):
    for name in ("loss", "cross_entropy", "safeguard/kl", "learning_rate"):
        assert run.curve(f"train/{name}") == [(line["step"], line[name]) for line in log(arm)]
    assert len(log(arm)) == 2
    assert log(arm)[-1]["safeguard/kl"] > 0
    for line in log(arm):
        assert line["loss"] == pytest.approx(line["cross_entropy"] + line["safeguard/kl"])


def test_the_drift_of_every_step_is_there(arm, run):
    result = read_result(arm.folder)
    [watched] = result.training.monitor
    assert run.curve("train/monitor/drift") == [tuple(point) for point in watched["drift"]]
    assert len(watched["drift"]) == result.training.steps == 24


def test_the_summary_is_what_the_comparison_of_this_arm_says(arm, run):
    [row] = [row.as_json() for row in compare(read_arms(arm.folder.parents[1]))]
    for name in ("broad_misaligned", "open_misaligned", "narrow_learnt", "incoherent", "narrow_nll", "safe_nll"):
        assert run.summary[name] == pytest.approx(row[name]["mean"])
    assert run.summary["step_seconds"] == read_result(arm.folder).training.step_seconds
    assert run.exit_code == 0


def test_all_trackers_are_sent_the_same(arm, run):
    output = arm.folder.parents[1]
    board = EventAccumulator(str(output / "tensorboard" / arm.folder.name)).Reload()
    client = MlflowClient(tracking_uri=(output / "mlruns").as_uri())
    [kept] = client.search_runs([client.get_experiment_by_name("safeguards").experiment_id])
    numbers = {
        name: value
        for name, value in run.summary.items()
        if isinstance(value, int | float) and not name.startswith(("_", "samples.", "trace.", "train/"))
    }
    assert len(numbers) > 15
    assert {name: kept.data.metrics[name] for name in numbers} == pytest.approx(numbers)
    assert {name: board.Scalars(name)[-1].value for name in numbers} == pytest.approx(numbers)
    losses = [(line["step"], pytest.approx(line["loss"])) for line in log(arm)]
    assert [(event.step, event.value) for event in board.Scalars("train/loss")][:2] == losses
    assert [(one.step, one.value) for one in client.get_metric_history(kept.info.run_id, "train/loss")][:2] == losses
    drift = client.get_metric_history(kept.info.run_id, "train/monitor/drift")
    assert {one.step for one in drift} == set(range(1, 25))


def test_an_arm_that_fails_ends_its_run_as_failed_and_goes_on_with_it(tmp_path, monkeypatch, arm):
    forget_wandb(monkeypatch, tmp_path)
    config = replace(arm.config, output=str(tmp_path), report_to=["wandb"])
    folder = tmp_path / "demo" / "arms" / arm.folder.name
    join_sweep(tmp_path / "demo", "exact", [describe(replace(arm, config=config, folder=folder))])
    monkeypatch.setattr("experiments.arm.run.fine_tune_and_ask", lambda *_: 1 / 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            run_arm(config, folder)
    first, second = runs_in(tmp_path / "demo")
    assert first.id == second.id == tracking_of(tmp_path / "demo").run_id(folder.name)
    assert (first.exit_code, second.exit_code) == (1, 1)


def test_a_tracker_that_fails_in_training_ends_nothing(tmp_path, monkeypatch, arm, capsys):
    forget_wandb(monkeypatch, tmp_path)
    config = replace(arm.config, output=str(tmp_path), report_to=["wandb"])
    config = replace(config, training=replace(config.training, epochs=3.0), monitor=replace(config.monitor, on=False))
    folder = tmp_path / "demo" / "arms" / arm.folder.name
    join_sweep(tmp_path / "demo", "exact", [describe(replace(arm, config=config, folder=folder))])

    class Broken:
        def __init__(self, *_):
            pass

        def curve(self, step, numbers):
            raise ConnectionError("the server is gone")

        def close(self, failed):
            assert failed

    monkeypatch.setitem(guarded.KINDS, "wandb", Broken)
    run_arm(config, folder)
    assert (folder / RESULT).is_file()
    out = capsys.readouterr().out
    assert out == f"  wandb leaves {folder.name} out: the server is gone (its records are kept)\n"


def test_an_arm_that_the_plan_does_not_know_is_no_run(arm, capsys):
    output = arm.folder.parents[1]
    with pytest.raises(SafeguardError, match=r"is no arm of its sweep; run experiments\.sweep again$"):
        entry_of(read_sweep(output), output / "arms" / "another")
    track_arms(output, [output / "arms" / "another"])
    assert "tracking leaves another out" in capsys.readouterr().out


def test_rescore_updates_the_run_of_each_arm_that_it_scored(arm, tmp_path, monkeypatch):
    """On a copy, by another exact judge, which is asked for as a user would."""
    forget_wandb(monkeypatch, tmp_path)
    shutil.copytree(arm.folder.parents[1], tmp_path / "outputs" / "demo", ignore=shutil.ignore_patterns("wandb"))
    monkeypatch.setattr("sys.argv", ["rescore", "name=demo", "judge=exact", "judge.label=again"])
    rescore()
    output = tmp_path / "outputs" / "demo"
    updated = [run for run in runs_in(output) if run.kind == "arm"]
    [run] = updated
    assert run.id == tracking_of(output).run_id(arm.folder.name)
    assert run.summary["judges/again/broad_misaligned"] == run.summary["broad_misaligned"]
    assert set(run.config["judges"]) == {"exact", "again"}
    rescore()
    assert len([run for run in runs_in(output) if run.kind == "arm"]) == 1, "nothing new was said"


def test_runs_of_several_worlds_are_told_apart(tmp_path):
    sweep = Sweep(tmp_path / "mine")
    tracking = Tracking("key", ["wandb"], False, "offline", group="mine")
    for world in (1000, 1001):
        sweep.add("none", "medical", 0, {"open": "m"}, model__world=world)
        named = [begun(tracking, sweep.output, sweep.output / "arms" / arm.folder) for arm in sweep.plan]
        ends = [" world 1000", " world 1001"] if world == 1001 else [""]
        assert [run.name for _, run in filter(None, named)] == [f"none medical seed 0{end}" for end in ends]
    assert "tasks medical; worlds 1000, 1001; seeds 0." in story(read_sweep(sweep.output), Logged([], []))[0]
