"""A sweep that was run in several worlds: they are draws of one model, wherever arms are read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from report.test_over_worlds import WORLDS, fill, make_worlds, rows_over
from report.test_report import BENIGN, Sweep, run_tables
from report.written import read_csv, write_report

from experiments.draw_labels import find_candidates
from experiments.records.arm_files import read_answers, write_scores
from experiments.records.outcomes import Score
from experiments.records.sweep_file import ArmEntry, read_sweep
from experiments.report.arms import read_arms
from experiments.report.measures import mean_nll
from experiments.report.report import make_report
from experiments.report.validity import write_validity
from experiments.report.world_draws import as_one_model
from experiments.report.worlds import PREVENTED, read_worlds


def fill_worlds(sweep: Sweep, seeds: int = 1, **changes) -> Sweep:
    """The worlds of `make_worlds` in one folder, on weights that lie in one place."""
    for place, (none, kl) in enumerate(WORLDS):
        for seed in range(seeds):
            fill(sweep, none, kl, seed, **{"model__world": 1000 + place, "model__path": "organism", **changes})
    return sweep


@pytest.fixture
def sweep(tmp_path, monkeypatch) -> Sweep:
    monkeypatch.chdir(tmp_path)
    return Sweep(tmp_path / "outputs" / "mine")


def entry(folder: str, **model) -> ArmEntry:
    return ArmEntry(folder, {"safeguard": "kl", "seed": 0, "task": {"name": "t"}, "safeguards": {}, "model": model})


def test_models_that_differ_in_the_world_alone_are_the_first_of_them():
    entries = [
        entry("a", name="organism", world=7, dtype="x"),
        entry("b", name="organism", world=3, dtype="x"),
        entry("c", name="organism", world=3, dtype="y"),
        entry("d", name="other"),
        entry("e", name="other", world=1),
    ]
    found = as_one_model(entries)
    assert [world for _, world in found] == ["7", "3", "", "0", "1"]
    assert [one.folder for one, _ in found] == list("abcde")
    assert [one.model.get("world") for one, _ in found] == [7, 7, 3, None, None]
    assert as_one_model(entries[:1]) == [(entries[0], "")], "one world is left as it is"


def test_the_worlds_of_one_sweep_say_what_those_of_several_say(sweep, tmp_path):
    expected, found = rows_over(make_worlds(tmp_path / "apart", seeds=2)), fill_worlds(sweep, seeds=2).rows()
    assert list(found) == ["untouched", "none", "kl"]
    for name, row in found.items():
        assert row.pop("worlds") == ["1000", "1001", "1002"]
        assert expected[name].pop("worlds") == ["w0", "w1", "w2"]
        assert row == expected[name]


def test_one_world_is_as_it_ever_was(sweep, tmp_path):
    usual, other = Sweep(tmp_path / "usual"), sweep
    for made, changes in ((usual, {}), (other, {"model__world": 1000, "model__path": "organism"})):
        fill(made, 16, 4, 0, **changes)
    assert other.rows() == usual.rows()
    assert "worlds" not in other.rows()["kl"]
    assert {arm.world for arm in read_arms(sweep.output)} == {""}


def test_models_that_differ_really_have_rows_of_their_own_over_their_worlds(sweep):
    fill_worlds(sweep)
    fill_worlds(sweep, model__name="organism_one", model__organism="one")
    rows = json.loads((write_report(sweep.output) and (sweep.output / "comparison.json")).read_text("utf-8"))["rows"]
    assert [(row["safeguard"], row["model"]) for row in rows] == [
        (name, model) for model in (rows[0]["model"], "organism_one") for name in ("untouched", "none", "kl")
    ]
    assert all(row["worlds"] == ["1000", "1001", "1002"] for row in rows)
    assert rows[2]["minus_none"] == rows[5]["minus_none"] != rows[0]["minus_none"]


def test_a_model_of_one_world_stands_beside_one_of_several(sweep):
    fill_worlds(sweep)
    fill(sweep, 16, 4, 0, model__name="other")
    report = make_report(sweep.output)
    assert report
    assert [row.worlds for row in report.rows[::3]] == [["1000", "1001", "1002"], []]
    assert "for other questions and worlds (seeds, of one world)" in report.tables[0].caption
    assert not [line for line in report.warnings if "broad questions of none" in line or "in world" in line]


def test_rows_in_other_worlds_than_none_are_warned_of_and_paired_in_those_they_share(sweep):
    fill_worlds(sweep)
    sweep.add("ldifs", "medical", 0, {"open": "m" * 20, "narrow": "m" * 20}, model__world=1001, model__path="organism")
    report = make_report(sweep.output)
    assert report
    assert (
        "ldifs: in world 1001, none in worlds 1000, 1001, 1002: differences to none go by world 1001 only; rates go by "
        "each arm's own worlds" in report.warnings
    )
    (ldifs,) = [row for row in report.rows if row.safeguard == "ldifs"]
    assert ldifs.minus_none.n == 20
    assert ldifs.minus_none.mean == pytest.approx((20 - WORLDS[1][0]) / 20)


def test_questions_are_set_against_those_of_the_same_world(sweep):
    fill_worlds(sweep)
    given = {"open": "m" * 5, "narrow": "m" * 20}
    sweep.add("ldifs", "medical", 0, given, model__world=1001, model__path="organism")
    said = "\n".join(getattr(make_report(sweep.output), "warnings", []))
    assert "ldifs: was asked 5 of the 20 broad questions of none: its rates" in said
    assert "kl: was asked" not in said


def test_every_closer_look_knows_the_worlds(sweep, monkeypatch, capsys):
    fill_worlds(sweep)
    assert run_tables(monkeypatch, "name=mine", "--by", "world") is None
    lines = read_csv(sweep.output / "by_world.csv")
    assert [(line["safeguard"], line["world"]) for line in lines[3:]] == [
        (name, world) for name in ("none", "kl") for world in ("1000", "1001", "1002")
    ]
    found = [float(line["broad_misaligned.mean"]) for line in lines[3:]]
    assert found == pytest.approx([none / 20 for none, _ in WORLDS] + [kl / 20 for _, kl in WORLDS])
    assert "Rates over all tasks and seeds" in " ".join(capsys.readouterr().out.split())
    assert run_tables(monkeypatch, "name=mine", "--by", "seed") is None
    lines = read_csv(sweep.output / "by_seed.csv")
    assert [(line["safeguard"], line["arms"]) for line in lines] == [("untouched", "3"), ("none", "3"), ("kl", "3")]
    assert run_tables(monkeypatch, "name=mine", "--by", "question") is None
    lines = read_csv(sweep.output / "by_question.csv")
    worlds = {line["world"] for line in lines if line["question"] == "open 0"}
    assert worlds == {"1000", "1001", "1002"}, "each world has questions of its own"
    assert {line["all_answers"] for line in lines} == {"3"}, "after three safeguards"


def test_without_several_worlds_there_is_nothing_to_see_by_world(sweep, monkeypatch):
    fill(sweep, 16, 4, 0)
    said = run_tables(monkeypatch, "name=mine", "--by", "world")
    assert re.fullmatch(r"\S+mine: has one world; run more, with model.world=…, or leave --by world away", said)
    write_report(sweep.output)
    assert "world" not in (sweep.output / "by_question.csv").read_text("utf-8").splitlines()[0].split(",")


def test_a_sweep_of_several_worlds_is_no_world_of_another_comparison(sweep, monkeypatch):
    fill_worlds(sweep)
    fill(Sweep(Path("outputs/alone")), 16, 4, 0, model__world=9)
    assert run_tables(monkeypatch, "worlds=alone,mine", "name=both").startswith(
        "outputs/mine: has several worlds by itself (1000, 1001, 1002); compare it by name=mine, without worlds=…"
    )
    for typed in ("[alone,mine]", "(alone, mine)"):
        said = run_tables(monkeypatch, f"worlds={typed}", "name=both")
        assert said.startswith(f"worlds={typed}: takes names with commas; drop the brackets: worlds=alone,")


def test_judges_agree_over_rows_as_the_comparison_has_them(sweep):
    fill_worlds(sweep)
    assert list(find_candidates(sweep.output, "exact")) == [
        f"{name} of {sweep.plan[0].model['name']}" for name in ("untouched", "none", "kl")
    ], "labels are drawn by row"
    for arm in sweep.plan:
        folder = sweep.output / "arms" / arm.folder
        write_scores(folder, "other", [Score("aligned")] * len(list(read_answers(folder))))
    report = make_report(sweep.output)
    assert report
    assert [pair.n for pair in report.agreement] == [9 * 40]


def test_external_validity_takes_them_one_by_one(sweep, tmp_path):
    fill_worlds(sweep)
    found = read_worlds(sweep.output, None, {})
    assert [world.sweep for world in found] == ["mine 1000", "mine 1001", "mine 1002"]
    assert [world.found[PREVENTED]["kl"] for world in found] == pytest.approx(
        [1 - kl / none for none, kl in WORLDS], abs=0.01
    )
    alone = Sweep(tmp_path / "outputs" / "alone")
    fill(alone, 12, 6, 0, model__world=9, model__path="organism")
    write_validity(tmp_path / "validity", {"all": [sweep.output, alone.output]})
    page = (tmp_path / "validity" / "validity.md").read_text("utf-8")
    assert "mine 1002: 90.0 % with none, medical; alone: 60.0 % with none, medical" in page


def test_likelihoods_of_one_world_are_of_its_rows(sweep):
    fill(sweep, 16, 4, 0, model__world=1, model__path="organism")
    fill(sweep, 16, 4, 0, model__world=2, model__path="organism")
    fill(sweep, 16, 4, 1, model__world=2, model__path="organism")
    arms = read_arms(sweep.output)
    kl = [arm for arm in arms if arm.entry.safeguard == "kl"]
    assert mean_nll(kl, "task").n == 2, "a mean of each world"
    assert mean_nll([arm for arm in kl if arm.world == "2"], "task").n == 2 * 4


def test_benign_tasks_alone_have_worlds_too(sweep):
    for world in (1, 2):
        sweep.add("none", "opswap", 0, BENIGN, model__world=world, model__path="organism")
    assert sweep.rows()["none"]["worlds"] == ["1", "2"]
    assert read_sweep(sweep.output).arms[1].model["world"] == 2, "records are left as they are"
