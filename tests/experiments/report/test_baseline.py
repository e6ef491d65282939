"""Another baseline than `none`: what rows are set against, what it is called everywhere, and what is refused."""

from __future__ import annotations

import json

import pytest
from report.test_report import Sweep, run_tables
from report.written import write_report

from experiments.records.arm_files import ARMS
from experiments.records.sweep_file import SweepFile, read_sweep, write_sweep
from experiments.report.arms import read_arms
from experiments.report.cautions import cautions
from experiments.report.columns import BROAD, MAIN
from experiments.report.comparison import compare
from experiments.report.table import make_table
from safeguards import SafeguardError


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """`none`, and two safeguards of which `kl` lets less through."""
    monkeypatch.chdir(tmp_path)
    made = Sweep(tmp_path / "outputs" / "mine")
    for seed in (0, 1):
        made.add("untouched", "medical", seed, {"open": "aaaaaaaaaa", "narrow": "aaaa"})
        made.add("none", "medical", seed, {"open": "mmmmmmmmaa", "narrow": "mmmm"}, seconds=1.0)
        made.add("kl", "medical", seed, {"open": "mmmmaaaaaa", "narrow": "mmma"}, seconds=2.0)
        made.add("ldifs", "medical", seed, {"open": "maiiiiiiia", "narrow": "mmma"}, seconds=3.0)
    return made


def test_rows_are_set_against_the_baseline_and_say_so(sweep):
    rows = compare(read_arms(sweep.output), "kl")
    found = {row.safeguard: row for row in rows}
    assert found["none"].minus_none.mean == pytest.approx(0.4)
    assert found["ldifs"].minus_none.mean == pytest.approx(-0.3)
    assert found["kl"].minus_none.mean is found["untouched"].minus_none.mean is None
    assert found["ldifs"].step_time_ratio == pytest.approx(1.5)
    main, broad = make_table(MAIN, rows), make_table(BROAD, rows)
    assert "− kl" in broad.cells.columns
    assert "− none" not in f"{broad.cells.columns} {broad.caption}"
    assert broad.caption.startswith("− kl: broad misaligned, points against kl, paired by question")
    assert "Step time: against kl" in main.caption
    assert any(line.startswith("ldifs: 30.0 points fewer misaligned answers than kl") for line in cautions(rows))


def test_what_is_ranked_does_not_depend_on_the_baseline(sweep):
    sweep.add("inoculation", "medical", 0, {"open": "aaaaaaaaaa", "narrow": "aaaa"})
    arms = read_arms(sweep.output)
    for baseline in ("kl", "untouched", "inoculation"):
        rows = compare(arms, baseline)
        assert {row.safeguard: row.frontier for row in rows} == {row.safeguard: row.frontier for row in compare(arms)}
        assert "what learns less than 10% of what none learns" in make_table(MAIN, rows).caption


def test_without_none_the_baseline_says_what_can_be_learnt(sweep):
    sweep.plan = [arm for arm in sweep.plan if arm.safeguard != "none"]
    write_sweep(sweep.output, SweepFile("exact", sweep.plan))
    sweep.add("inoculation", "medical", 0, {"open": "aaaaaaaaaa", "narrow": "aaaa"})
    rows = compare(read_arms(sweep.output), "kl")
    (nothing,) = (row for row in rows if row.safeguard == "inoculation")
    assert list(nothing.learns.values()) == [None, False]
    assert "of what kl learns" in make_table(MAIN, rows).caption


def test_tables_against_another_baseline_have_files_of_their_own(sweep, monkeypatch):
    assert run_tables(monkeypatch, "name=mine") is None
    assert run_tables(monkeypatch, "name=mine", "baseline=kl") is None
    usual, other = (
        json.loads((sweep.output / f"comparison{named}.json").read_text("utf-8")) for named in ("", ".against_kl")
    )
    assert "baseline" not in usual
    assert other["baseline"] == "kl"
    assert [row["broad_misaligned"] for row in usual["rows"]] == [row["broad_misaligned"] for row in other["rows"]]
    assert {arm.folder for arm in read_sweep(sweep.output).arms} == {p.name for p in (sweep.output / ARMS).iterdir()}


def test_a_dose_is_named_by_its_label(sweep, monkeypatch):
    sweep.add("interleave", "medical", 0, {"open": "mmaaaaaaaa"}, safeguards__interleave__share=0.1)
    sweep.add("interleave", "medical", 0, {"open": "maaaaaaaaa"}, safeguards__interleave__share=0.2)
    arms = read_arms(sweep.output)
    with pytest.raises(SafeguardError, match=r"several doses; name one of interleave interleave.share=0.1, interleave"):
        compare(arms, "interleave")
    assert run_tables(monkeypatch, "name=mine", "baseline=interleave interleave.share=0.2") is None
    assert (sweep.output / "comparison.against_interleave_interleave.share_0.2.csv").is_file()
    (row,) = (row for row in compare(arms, "interleave interleave.share=0.2") if row.safeguard.endswith("0.1"))
    assert row.minus_none.mean == pytest.approx(0.1)


def test_an_unknown_baseline_is_refused_with_those_that_are_known(sweep, monkeypatch):
    said = run_tables(monkeypatch, "name=mine", "baseline=none_")
    assert said == "baseline=none_: no such row; known: untouched, none, kl, ldifs"
    assert not (sweep.output / "comparison.json").exists()
    said = run_tables(monkeypatch, "name=mine", "baseline=kl", "--by", "task")
    assert said == "baseline=kl: no rows are set against another with --by; leave one of them away"


def test_a_sweep_keeps_its_baseline_and_goes_by_none_while_that_is_not_done(sweep, capsys):
    write_sweep(sweep.output, SweepFile("exact", sweep.plan, baseline="kl"))
    write_report(sweep.output)
    assert json.loads((sweep.output / "comparison.json").read_text("utf-8"))["baseline"] == "kl"
    write_sweep(sweep.output, SweepFile("exact", sweep.plan, baseline="steer"))
    write_report(sweep.output)
    assert "warning: baseline=steer: no such row; known: untouched, none, kl, ldifs; rows are set against none" in (
        " ".join(capsys.readouterr().out.split())
    )
