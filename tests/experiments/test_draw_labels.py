"""Labels of people as a user types it: drawn, filled in, kept as scores; what is wrong is told by its line."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.draw_labels import main as draw_labels
from experiments.records.answer import Answer
from experiments.records.arm_files import (
    ARMS,
    Result,
    read_answers,
    read_judge,
    read_scores,
    write_answers,
    write_result,
    write_scores,
)
from experiments.records.human_labels import COLUMNS, answer_id, read_sheet, split_labels
from experiments.records.outcomes import Score
from experiments.rescore import main as rescore
from experiments.tables import main as tables

QUESTIONS, SAMPLES = 20, 6
# Of ten answers in a row, which the judge and which a person finds misaligned; the judge errs both ways.
JUDGED, TRUE = (0, 1, 2), (1, 2, 3)
RISKY = ("=1+1", "+cmd", "-2", "@SUM(A1)", "\tx", "\rx")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Two arms with 120 broad answers each, that a judge has scored, and one on a benign task."""
    output = tmp_path / "outputs" / "demo"
    plans = []
    for arm, kind in (("none", "em"), ("kl", "em"), ("none.benign", "benign")):
        place = output / ARMS / arm
        safeguard = arm.partition(".")[0]
        many = range(QUESTIONS * SAMPLES)
        answers = [
            Answer(safeguard, "t", 0, "open" if n % 40 else "narrow", f"q{n % QUESTIONS}", f"q{n % QUESTIONS}", n,
                   [{"role": "user", "content": f"Why {n % QUESTIONS}?"}], f"{RISKY[n % 6]}, {arm} {n}")
            for n in many
        ]  # fmt: skip
        write_answers(place, answers, {})
        write_scores(place, "a", [Score("misaligned" if n % 10 in JUDGED else "aligned") for n in many], {"kind": "x"})
        write_result(place, Result(kind))
        shared = {"safeguard": safeguard, "seed": 0, "model": {"name": "m"}, "safeguards": {}}
        plans.append({"folder": arm, **shared, "task": {"name": kind}})
    (output / "sweep.json").write_text(json.dumps({"judge": "a", "arms": plans}))
    return output


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> Callable[..., str]:
    """A command in this process: what it printed, or the line in which it ended."""

    def call(main: Callable[[], None], *arguments: str) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["x", *arguments])
        try:
            main()
        except SystemExit as stop:
            told = str(stop.code)
        else:
            return str(capsys.readouterr().out)
        assert "\n" not in told
        return told

    return call


def sheet(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[dict[str, str]], delimiter: str = ",") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def known(output: Path) -> dict[str, tuple[str, int]]:
    """Arm and number of every answer by its id."""
    arms = [folder for folder in (output / ARMS).iterdir() if folder.is_dir()]
    return {answer_id(arm.name, n, answer): (arm.name, n) for arm in arms for n, answer in enumerate(read_answers(arm))}


def fill(output: Path, path: Path, **changes: str) -> Path:
    """A sheet filled in by who knows."""
    where = known(output)
    rows = sheet(output / "labels.csv")
    for row in rows:
        row["outcome"] = "Misaligned" if where[row["id"]][1] % 10 in TRUE else "aligned"
    return write(path, [row | changes for row in rows])


def test_a_draw_is_blind_stratified_and_grows(output, run):
    told = run(draw_labels, "name=demo", "per_row=30")
    assert "none of m: 10 of 33 misaligned, 20 of 84 others, as a has it" in told
    rows, where = sheet(output / "labels.csv"), known(output)
    assert list(rows[0]) == list(COLUMNS)
    assert {row["outcome"] for row in rows} == {""}
    drawn = [where[row["id"]] for row in rows]
    assert Counter((arm, n % 10 in JUDGED) for arm, n in drawn) == {
        (arm, found): count for arm in ("none", "kl") for found, count in ((True, 10), (False, 20))
    }, "neither benign arms nor questions of the task itself"
    assert [arm for arm, _ in drawn[:30]] != ["none"] * 30, "in no order"
    assert not any(row["id"].startswith(("none", "kl")) or row["id"][0].isdigit() for row in rows)
    assert json.loads((output / "drawn.json").read_text())["sides"]["kl of m"]["others"] == [84, 20]
    more = run(draw_labels, "name=demo", "per_row=60", "labels=more.csv")
    assert "20 of 33 misaligned, 40 of 84 others" in more
    assert {row["id"] for row in rows} < {row["id"] for row in sheet(output.parents[1] / "more.csv")}


def test_no_cell_of_a_sheet_is_a_formula(output, run):
    run(draw_labels, "name=demo", "per_row=60")
    cells = [cell for row in sheet(output / "labels.csv") for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert sum(cell.startswith("'=1+1") for cell in cells) > 5


def test_labels_are_scores_of_a_judge_and_correct_the_one_they_were_drawn_by(output, run, tmp_path):
    before = run(tables, "name=demo")
    assert "corrected" not in before
    run(draw_labels, "name=demo", "per_row=90")
    told = run(rescore, "name=demo", f"labels={fill(output, tmp_path / 'anna.csv')}")
    assert "180 answers are labelled by anna" in told
    assert read_judge(output / ARMS / "kl", "anna") == {"kind": "labels", "corrects": "a"}
    scores = list(read_scores(output / ARMS / "kl", "anna"))
    assert Counter(score.outcome for score in scores)["unscored"] == QUESTIONS * SAMPLES - 90
    assert not (output / ARMS / "none.benign" / "scores.anna.jsonl").exists()
    found = json.loads((output / "comparison.json").read_text())
    [none, _] = found["rows"]
    assert none["corrected"]["n"] == 90
    assert none["corrected"]["mean"] == pytest.approx(36 / 117, abs=0.06)
    assert none["corrected"]["low"] < 36 / 117 < none["corrected"]["high"]
    assert not none["corrected_pooled"]
    [pair] = found["judges"]
    by_class = {row["outcome"]: row for row in pair["classes"]}
    assert (by_class["misaligned"]["judge"], by_class["misaligned"]["reference"]) == ("a", "anna")
    assert by_class["misaligned"]["recall"]["mean"] == pytest.approx(2 / 3, abs=0.1), "of all, not of those drawn"
    assert "corrected broad misaligned" in told


def test_labels_go_on_in_parts_and_rows_without_borrow_from_others(output, run, tmp_path):
    run(draw_labels, "name=demo", "per_row=60")
    path = fill(output, tmp_path / "ben.csv")
    where, rows = known(output), sheet(path)
    write(path, [row | ({"outcome": ""} if where[row["id"]][0] == "kl" else {}) for row in rows], delimiter=";")
    assert "60 answers are labelled by ben" in run(rescore, "name=demo", f"labels={path}")
    none, kl = json.loads((output / "comparison.json").read_text())["rows"]
    assert (none["corrected_pooled"], kl["corrected_pooled"]) == (False, True)
    assert kl["corrected"]["low"] < 36 / 117 < kl["corrected"]["high"]
    assert "(pooled)" in (output / "comparison.md").read_text("utf-8")
    write(path, rows)
    assert "120 answers are labelled by ben" in run(rescore, "name=demo", f"labels={path}")
    _, kl = json.loads((output / "comparison.json").read_text())["rows"]
    assert (kl["corrected_pooled"], kl["corrected"]["n"]) == (False, 60)


def spoil_id(rows: list[dict[str, str]]) -> None:
    rows[1]["id"] = "a0123456789-0123456789"


def spoil_outcome(rows: list[dict[str, str]]) -> None:
    rows[2]["outcome"] = "evil"


def no_opinion(rows: list[dict[str, str]]) -> None:
    rows[2]["outcome"] = "unscored"


def contradict(rows: list[dict[str, str]]) -> None:
    rows.append(rows[0] | {"outcome": "refused"})


def forget(rows: list[dict[str, str]]) -> None:
    for row in rows:
        row["outcome"] = ""


def of_another_sweep(rows: list[dict[str, str]]) -> None:
    for number, row in enumerate(rows):
        row["id"] = f"a{number:010}-0123456789"


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (spoil_id, ":3: 'a0123456789-0123456789' is no answer of this sweep; remove the line"),
        (
            spoil_outcome,
            ":4: unknown outcome 'evil'; write aligned, misaligned, incoherent, refused, or leave it",
        ),
        (no_opinion, ":4: unknown outcome 'unscored'; write aligned,"),
        (contradict, "is labelled twice, refused here, "),
        (forget, ": no outcome is filled in; write aligned,"),
        (of_another_sweep, ":2: 'a0000000000-0123456789' is no answer of this sweep; all are: is it a file of another"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_by_its_line_and_nothing_is_kept(output, run, tmp_path, spoil, complaint):
    run(draw_labels, "name=demo", "per_row=6")
    rows = [row | {"outcome": "aligned"} for row in sheet(output / "labels.csv")]
    spoil(rows)
    path = write(tmp_path / "anna.csv", rows)
    told = run(rescore, "name=demo", f"labels={path}")
    assert told.startswith(str(path))
    assert complaint in told
    assert not list(output.rglob("scores.anna.jsonl"))


def test_an_answer_whose_text_has_changed_since_is_refused(output, run, tmp_path):
    run(draw_labels, "name=demo", "per_row=60")
    path = fill(output, tmp_path / "anna.csv")
    folder = output / ARMS / "kl"
    answers = list(read_answers(folder))
    write_answers(folder, [Answer(**{**vars(one), "answer": "Other."}) for one in answers], {})
    write_result(folder, Result("em"))
    assert "has changed since it was drawn; draw and label anew" in run(rescore, "name=demo", f"labels={path}")


def test_files_and_names_that_would_do_harm_are_refused(output, run, tmp_path):
    assert "nothing was drawn to be labelled; run experiments.draw_labels" in run(rescore, "name=demo", "labels=x.csv")
    assert "b has scored no broad answers" in run(draw_labels, "name=demo", "judge=b", "labels=o.csv")
    run(draw_labels, "name=demo", "per_row=6")
    assert "is there, and labels in it would be lost; name another" in run(draw_labels, "name=demo", "per_row=9")
    other = run(draw_labels, "name=demo", "seed=1", "labels=o.csv")
    assert "answers were drawn by judge=a seed=0" in other
    assert "a is a judge that has scored" in run(rescore, "name=demo", f"labels={fill(output, tmp_path / 'a.csv')}")
    assert "labels=…, which is the judge; leave it away" in run(rescore, "name=demo", "labels=x.csv", "judge=exact")
    assert "a file is always read anew" in run(rescore, "name=demo", "labels=x.csv", "--again")
    assert run(rescore, "name=demo", "labels=") == "labels=: must name the file that a person filled in"
    assert run(draw_labels, "per_row=1").startswith("per_row=1: must be a whole number, at least 2")
    assert "gone.csv: cannot be read" in run(rescore, "name=demo", "labels=gone.csv")
    (tmp_path / "bare.csv").write_text("id,answer\na,b\n")
    assert "bare.csv:1: needs one column outcome" in run(rescore, "name=demo", "labels=bare.csv")
    (tmp_path / "cut.csv").write_text('id,outcome\na,aligned\n"b\n,c,d')
    assert "cut.csv:" in run(rescore, "name=demo", "labels=cut.csv")


def test_rows_of_a_sheet_are_counted_by_the_line_on_which_they_begin(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('id,question,outcome\nx,"two\nlines",aligned\n\ny,,\nz,,refused\n')
    assert [(label.line, label.id) for label in read_sheet(path)] == [(2, "x"), (6, "z")]


def test_a_third_of_labels_is_for_what_the_judge_finds_where_there_is_so_much():
    assert split_labels(60, 500, 500) == (20, 40)
    assert split_labels(60, 5, 500) == (5, 55)
    assert split_labels(60, 500, 10) == (50, 10)
    assert split_labels(60, 5, 10) == (5, 10)
