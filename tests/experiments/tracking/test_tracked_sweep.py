"""The comparison of a sweep is one run: its table, pictures and page; other judges are beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
from made import HOSTILE, MadeSweep, forget_wandb, small_sweep
from mlflow import MlflowClient
from offline import OfflineRun, runs_in
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_to_wandb import sync
from wandb_server import serving

from experiments.pictures.picture import Picture
from experiments.report.report import Report, Wanted, make_report
from experiments.report.write import write_files
from experiments.tracking.sweep import comparison_columns, rows_table, track_sweep, tradeoffs


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeSweep:
    forget_wandb(monkeypatch, tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return small_sweep(tmp_path / "outputs" / "demo")


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    Image.new("RGBA", (4, 3), "red").save(tmp_path / "forest.png")
    return Picture(tmp_path / "forest", "Forest", f"A caption {HOSTILE}")


def report_of(sweep: MadeSweep, judge: str | None = None) -> Report:
    report = make_report(sweep.output, Wanted(judge))
    assert report is not None
    write_files(report)
    return report


def column(run: OfflineRun, table: str, name: str) -> list[object]:
    columns, rows = run.table(table)
    return [row[columns.index(name)] for row in rows]


def test_the_comparison_pictures_and_page_are_in_wandb(sweep, picture, tmp_path, capfd):
    tracking = sweep.track("wandb")
    report = report_of(sweep)
    page = tmp_path / "report.html"
    page.write_text(f"<!doctype html>{HOSTILE}", "utf-8")
    capfd.readouterr()
    track_sweep(report, [picture], page)
    assert capfd.readouterr() == ("", "")
    [run] = runs_in(sweep.output)
    assert (run.id, run.kind, run.group) == (tracking.run_id("comparison"), "comparison", "demo")
    assert column(run, "comparison", "safeguard") == [row.safeguard for row in report.rows] == ["none", "kl"]
    assert column(run, "comparison", "broad_misaligned.mean") == pytest.approx([0.1, 0.0])
    assert column(run, "comparison", "benign_accuracy.n") == [10, 10]
    title = report.tables[0].title
    assert run.table(f"comparison/{title}") == (
        list(report.tables[0].cells.columns), report.tables[0].cells.to_numpy().tolist()
    )  # fmt: skip
    assert column(run, "comparison/Warnings", "warning") == list(report.warnings)
    media = run.folder / "files"
    assert (media / run.summary["page.path"]).read_text("utf-8") == page.read_text("utf-8")
    assert Image.open(media / run.summary["pictures/forest.path"]).size == (4, 3)
    assert (run.summary["arms"], run.summary["rows"]) == (4, 2)
    assert (run.config["sweep"], run.config["tasks"], run.config["primary"]) == (
        "demo", ["medical", "style"], "broad_misaligned"
    )  # fmt: skip


def test_another_judge_is_beside_the_first_in_the_same_run(sweep):
    sweep.track("wandb")
    track_sweep(report_of(sweep))
    for arm in sweep.arms:
        sweep.judge(arm.folder, "strict", "m" * (10 if arm.config.task.kind == "benign" else 30))
    track_sweep(report_of(sweep, "strict"))
    first, second = runs_in(sweep.output)
    assert first.id == second.id
    assert column(second, "comparison", "broad_misaligned.mean") == pytest.approx([0.1, 0.0])
    assert column(second, "comparison.strict", "broad_misaligned.mean") == pytest.approx([1.0, 1.0])
    with serving() as server:
        sync(sweep.output, server.address)
    [run] = server.runs.values()
    assert {"comparison", "comparison.strict"} <= run.summary.keys()


def test_it_is_in_the_other_trackers_too(sweep, picture, tmp_path, capfd):
    sweep.track("tensorboard", "mlflow")
    report = report_of(sweep)
    capfd.readouterr()
    track_sweep(report, [picture])
    assert capfd.readouterr() == ("", "")
    board = EventAccumulator(str(sweep.output / "tensorboard" / "comparison")).Reload()
    assert board.Images("pictures/forest")[0].width == 4
    assert "comparison/text_summary" in board.Tags()["tensors"]
    client = MlflowClient(tracking_uri=(sweep.output / "mlruns").as_uri())
    [run] = client.search_runs([client.get_experiment_by_name("safeguards").experiment_id])
    assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"comparison.json", "pictures"}


def test_a_sweep_that_is_not_tracked_sends_nothing(sweep):
    track_sweep(report_of(sweep))
    sweep.track()
    track_sweep(report_of(sweep))
    assert not (sweep.output / "wandb").exists()


def test_a_picture_that_is_not_there_ends_nothing(sweep, tmp_path, capsys):
    sweep.track("wandb")
    report = report_of(sweep)
    capsys.readouterr()
    track_sweep(report, [Picture(tmp_path / "none", "None", "")])
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("  wandb leaves the comparison of demo out: ")


def test_rows_are_flat_and_what_is_a_table_itself_is_left_out():
    table = rows_table(
        [
            {"safeguard": "kl", "tasks": ["a", "b"], "rate": {"mean": 0.5, "n": 2}, "curve": [{"part": 1}], "p": None},
            {"safeguard": "none", "tasks": ["a"], "rate": {"mean": None, "n": 0}},
        ]
    )
    assert table.to_dict("list") == {
        "safeguard": ["kl", "none"], "tasks": ["a, b", "a"], "rate.mean": [0.5, None], "rate.n": [2, 0]
    }  # fmt: skip


def test_what_is_set_beside_each_other_is_known_of_some_row(sweep):
    report_of(sweep)
    assert tradeoffs(comparison_columns(sweep.output)) == [
        ("benign_accuracy.mean", "broad_misaligned.mean"), ("narrow_learnt.mean", "broad_misaligned.mean")
    ]  # fmt: skip
    assert tradeoffs(["broad_misaligned.mean", "narrow_learnt.low"]) == []
    assert comparison_columns(sweep.output / "elsewhere") == []
