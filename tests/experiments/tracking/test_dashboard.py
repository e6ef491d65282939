"""The workspace and the report of a sweep, as objects: they show what arms log, and nothing that no arm logs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made import MadeSweep, forget_wandb, small_sweep
from offline import runs_in

from experiments import dashboard
from experiments.records.sweep_file import read_sweep
from experiments.report.report import make_report
from experiments.report.write import write_files
from experiments.tracking.arm import track_arms
from experiments.tracking.dashboard import logged_by, make_workspace
from experiments.tracking.dashboard import make_report as report_on
from experiments.tracking.sweep import comparison_columns, track_sweep


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeSweep:
    forget_wandb(monkeypatch, tmp_path)
    # A set of runs would ask for the id of its project.
    monkeypatch.setattr("wandb_workspaces.reports.v2.interface._get_api", lambda: None)
    project = {"project": {"internalId": "1"}}
    monkeypatch.setattr("wandb_workspaces.reports.v2.interface.execute_graphql", lambda *_: project)
    made = small_sweep(tmp_path / "outputs" / "demo")
    report = make_report(made.output)
    assert report is not None
    write_files(report)
    return made


def spec(made: Any) -> dict[str, Any]:
    """What is sent to wandb."""
    found = json.loads(made._to_model().model_dump_json(by_alias=True, exclude_none=True))
    found = found["spec"]
    return json.loads(found) if isinstance(found, str) else found


def shown(part: Any) -> dict[str, set[str]]:
    """All numbers, curves and tables that panels show, wherever they are in a spec."""
    found: dict[str, set[str]] = {"numbers": set(), "curves": set(), "tables": set(), "columns": set()}

    def look(value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                look(item)
        if not isinstance(value, dict):
            return
        config, kind = value.get("config", {}), str(value.get("viewType")).replace(" ", "")
        if kind == "BarChart":
            found["numbers"] |= {*config["metrics"]}
            assert config["groupBy"] == "label.value"
        elif kind == "RunHistoryLinePlot":
            found["curves"] |= {*config["metrics"], config["xAxis"]}
        elif kind == "ScatterPlot":
            found["numbers"] |= {config[axis].removeprefix("summary:") for axis in ("xAxis", "yAxis")}
        elif kind == "Weave":
            found["tables"].add(config["panel2Config"]["exp"]["fromOp"]["inputs"]["key"]["val"])
        elif kind == "Vega2":
            found["columns"] |= {config["fieldSettings"][axis] for axis in "xy"}
        for inner in value.values():
            look(inner)

    look(part)
    return found


def test_every_name_is_one_that_arms_log(sweep):
    tracking = sweep.track("wandb")
    track_arms(sweep.output, [arm.folder for arm in sweep.arms])
    track_sweep(make_report(sweep.output))
    runs = runs_in(sweep.output)
    summaries = {name for run in runs if run.kind == "arm" for name in run.summary}
    logged, columns = logged_by(sweep.output), comparison_columns(sweep.output)
    workspace = shown(spec(make_workspace(tracking, "me", logged)))
    report = shown(spec(report_on(tracking, "me", logged, read_sweep(sweep.output), columns)))
    for part in (workspace, report):
        assert part["numbers"] <= summaries
        # No arm trains here, so only the ends of curves are there; those that are drawn are tested with a real one.
        assert part["curves"] - {"train/global_step"} == {"train/loss", "train/cross_entropy", "train/safeguard/kl"}
        assert part["curves"] - {"train/global_step"} <= summaries
        assert {"broad_misaligned", "benign_accuracy", "narrow_learnt", "outcomes/open/refused"} <= part["numbers"]
    [comparison] = [run for run in runs if run.kind == "comparison"]
    assert workspace["tables"] == {"samples", "trace"}
    assert report["tables"] == {"samples", "trace", "comparison"}
    assert report["columns"] == {"benign_accuracy.mean", "narrow_learnt.mean", "broad_misaligned.mean"}
    assert report["columns"] <= {*comparison.table("comparison")[0]}
    assert {f"{name}.path" for name in ("samples", "trace")} <= summaries


def test_a_sweep_that_trained_nothing_has_no_curves_and_no_trace(tmp_path, monkeypatch):
    forget_wandb(monkeypatch, tmp_path)
    made = MadeSweep(tmp_path / "outputs" / "demo")
    made.add("untouched", {"open": "ma"})
    part = shown(spec(make_workspace(made.track("wandb"), "me", logged_by(made.output))))
    assert (part["curves"], part["tables"]) == (set(), {"samples"})
    assert {"broad_misaligned", "outcomes/open/aligned", "outcomes/broad/aligned"} <= part["numbers"]
    assert not {"benign_accuracy", "step_seconds", "outcomes/narrow/aligned"} & part["numbers"]


def test_only_runs_of_the_sweep_are_shown(sweep):
    tracking = sweep.track("wandb")
    logged = logged_by(sweep.output)
    for made in (
        make_workspace(tracking, "me", logged),
        report_on(tracking, "me", logged, read_sweep(sweep.output), []),
    ):
        text = json.dumps(spec(made))
        assert '"name": "group"' in text
        assert '"demo"' in text
        assert '"name": "jobType"' in text


def test_the_report_tells_what_was_compared(sweep):
    tracking = sweep.track("wandb")
    text = json.dumps(
        spec(report_on(tracking, "me", logged_by(sweep.output), read_sweep(sweep.output), [])), ensure_ascii=False
    )
    assert "Safeguards none, kl on organism; tasks medical, style; seeds 0." in text
    assert "Scored by exact. Primary outcome: broad_misaligned" in text
    assert "Drift" not in text, "nobody watched"


# The command --------------------------------------------------------------------------------------------------------


def run(*given: str) -> None:
    sys.argv = ["dashboard", *given]
    dashboard.main()


def refused(capsys: pytest.CaptureFixture[str], *given: str) -> str:
    with pytest.raises(SystemExit) as ended:
        run(*given)
    assert isinstance(ended.value.code, str)
    assert "\n" not in ended.value.code
    return ended.value.code


def test_it_says_what_it_would_build(sweep, capsys):
    sweep.track("wandb")
    capsys.readouterr()
    run("name=demo")
    assert capsys.readouterr().out.splitlines() == [
        "project safeguards, runs of the group demo",
        "  Headline metrics by safeguard: 11 panels",
        "  Trade-off: 1 panel",
        "  Training: 3 panels",
        "  Outcomes: 5 panels",
        "  Samples: 2 panels",
        "nothing is saved without --save",
    ]


def test_what_is_missing_is_told_in_one_line(sweep, capsys, monkeypatch):
    assert refused(capsys, "name=another") == "outputs/another: no sweep there; known: demo"
    told = "outputs/demo: is not tracked in wandb; run experiments.sweep with name=demo report_to=[wandb]"
    assert refused(capsys, "name=demo") == told
    sweep.track("mlflow")
    assert refused(capsys, "name=demo") == told
    sweep.track("wandb")
    assert refused(capsys, "name=demo", "--save") == "--save: nobody is logged in to wandb here; run wandb login"
    assert refused(capsys, "name=demo", "save") == "'save': settings are given as key=value, such as name=save"
    monkeypatch.setattr(dashboard, "find_spec", lambda name: None)
    assert refused(capsys, "name=demo") == (
        "experiments.dashboard: wandb-workspaces is not installed; pip install '.[dashboard]'"
    )


def test_a_sweep_without_a_finished_arm_has_nothing_to_show(tmp_path, monkeypatch, capsys):
    forget_wandb(monkeypatch, tmp_path)
    sweep = small_sweep(tmp_path / "outputs" / "demo")
    sweep.track("wandb")
    for arm in sweep.arms:
        (arm.folder / "result.json").unlink()
    assert refused(capsys, "name=demo") == ("outputs/demo: no arm is done; run experiments.sweep with name=demo again")


@pytest.fixture
def wandb_has(monkeypatch):
    """Somebody is logged in, and wandb has so many runs of the sweep."""

    def make(runs: int | Exception) -> None:
        def ask(path, filters, per_page):
            assert (path, filters) == ("me/safeguards", {"group": "demo"})
            if isinstance(runs, Exception):
                raise runs
            return [None] * runs

        monkeypatch.setattr(dashboard, "refuse_logged_out", lambda *_: None)
        api = SimpleNamespace(default_entity="me", runs=ask)
        monkeypatch.setattr(dashboard, "silent_wandb", lambda: SimpleNamespace(Api=lambda: api))

    return make


def test_runs_that_are_not_there_are_to_be_sent_first(sweep, wandb_has, capsys):
    sweep.track("wandb")
    wandb_has(0)
    assert refused(capsys, "name=demo", "--save") == (
        "--save: me/safeguards has no runs of demo; send them first: wandb sync outputs/demo/wandb"
    )
    wandb_has(ValueError("Could not find project safeguards"))
    assert refused(capsys, "name=demo", "--save") == (
        "--save: me/safeguards: Could not find project safeguards; send the runs first: wandb sync outputs/demo/wandb"
    )


def test_what_is_saved_again_is_replaced(sweep, wandb_has, capsys, monkeypatch):
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

    sweep.track("wandb")
    wandb_has(5)
    saved: list[tuple[str, int]] = []
    for kind, name in ((ws.Workspace, "workspace"), (wr.Report, "report")):
        monkeypatch.setattr(kind, "url", property(lambda self, name=name: f"https://wandb.example/{name}"))
        monkeypatch.setattr(kind, "save", lambda self, name=name: saved.append((name, id(self))))
    run("name=demo", "--save")
    assert [name for name, _ in saved] == ["workspace", "report"]
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "workspace: https://wandb.example/workspace", "report: https://wandb.example/report"
    ]  # fmt: skip
    there = {
        "workspace": ws.Workspace(entity="me", project="safeguards", sections=[]),
        "report": wr.Report(entity="me", project="safeguards", blocks=[]),
    }
    monkeypatch.setattr(ws.Workspace, "from_url", classmethod(lambda cls, url: there[url.rsplit("/", 1)[1]]))
    monkeypatch.setattr(wr.Report, "from_url", classmethod(lambda cls, url, as_model=False: there[url.rsplit("/")[-1]]))
    run("name=demo", "--save")
    assert saved[2:] == [(name, id(made)) for name, made in there.items()]
    assert [section.name for section in there["workspace"].sections][:2] == [
        "Headline metrics by safeguard", "Trade-off"
    ]  # fmt: skip
    assert len(there["report"].blocks) > 5


def test_what_wandb_refuses_is_told_in_one_line(sweep, wandb_has, capsys, monkeypatch):
    import wandb_workspaces.workspaces as ws

    def fail(self):
        raise RuntimeError("permission\ndenied")

    sweep.track("wandb")
    wandb_has(5)
    monkeypatch.setattr(ws.Workspace, "save", fail)
    assert refused(capsys, "name=demo", "--save") == "--save: permission denied"
