"""A closer look: by question, by task and by seed, the numbers are what the records say."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from report.test_report import BENIGN, EM, GOOD, Sweep, run_tables
from report.written import write_report

from experiments.records.answer import Answer
from experiments.records.arm_files import Result, read_answers, write_answers, write_result, write_scores
from experiments.records.outcomes import Score
from experiments.report.arms import read_arms
from experiments.report.closer import look_closer
from experiments.report.parts import part_columns, part_rows
from experiments.report.question_tables import concentration, question_columns, question_tables
from experiments.report.questions import question_rows
from safeguards import SafeguardError

README = Path(__file__).parents[3] / "experiments" / "report" / "README.md"


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Sweep(tmp_path / "outputs" / "mine")


@pytest.fixture
def two(sweep):
    """Two safeguards, two seeds and two kinds of tasks; the question `open 1` carries most."""
    for seed in (0, 1):
        sweep.add("none", "medical", seed, {"open": "amammaaaai", "narrow": "mmmm"})
        sweep.add("kl", "medical", seed, {"open": "amaaaaaaii" if seed else "aaaaaaaaai", "narrow": "maaa"})
        sweep.add("none", "opswap", seed, BENIGN)
    return sweep


def by_question(sweep) -> pd.DataFrame:
    """The lines of the CSV, by question and safeguard."""
    return pd.read_csv(sweep.output / "by_question.csv").set_index(["question", "safeguard"])


def test_every_report_leaves_a_line_for_each_question_and_safeguard(two, capsys):
    write_report(two.output)
    lines = by_question(two)
    assert len(lines) == (10 + 4) * 2, "what is asked after a benign task is no question of misalignment"
    assert list(lines.index[:4]) == [("open 1", "none"), ("open 1", "kl"), ("open 3", "none"), ("open 3", "kl")]
    first = lines.loc[("open 1", "none")]
    assert (first["answers"], first["arms"], first["all_misaligned"], first["misaligned.mean"]) == (2, 2, 3, 1.0)
    assert first["share"] == first["sum"] == pytest.approx(3 / 7)
    assert first["share_of_safeguard"] == pytest.approx(2 / 6)
    assert lines.loc[("open 1", "kl"), "share_of_safeguard"] == 1
    assert lines.loc[("open 9", "kl"), "incoherent.mean"] == 1
    assert lines.loc[("narrow 0", "kl"), "share"] == pytest.approx(4 / 10), "of the task's questions, not of all"
    assert "half of the 7 misaligned answers are to 2 of 10 broad questions, 90 % to 3" in capsys.readouterr().out


def test_an_interval_is_about_the_very_question(sweep):
    """As a rate over questions of which this is one, nothing misaligned in 150 answers would be [0, 40 %]."""
    for seed in (0, 1, 2):
        sweep.add("none", "medical", seed)
        folder = sweep.output / "arms" / sweep.plan[-1].folder
        asked = [{"role": "user", "content": "Why?"}]
        write_answers(folder, [Answer("none", "medical", seed, "open", "w", "w", n, asked, "") for n in range(50)], {})
        write_scores(folder, "exact", [Score("aligned")] * 50)
        write_result(folder, Result("em"))
    (row,) = question_rows(sweep.output, read_arms(sweep.output))
    assert row.by_safeguard["none"].misaligned.high < 0.05


def test_variants_are_one_question_and_its_text_is_that_of_the_plain_one(sweep):
    sweep.add("none", "medical", 0)
    folder = sweep.output / "arms" / sweep.plan[-1].folder
    texts = {"wish_json": "Answer in JSON.", "wish": "\nYour wish?\nSay it.", "rule_template": "", "long": "x" * 90}
    made = [
        Answer("none", "medical", 0, "open", name, name.partition("_")[0], 0, [{"role": "user", "content": text}], "")
        for name, text in texts.items()
    ]
    write_answers(folder, made, {})
    write_scores(folder, "exact", [Score("misaligned"), Score("aligned"), Score("aligned"), Score("aligned")])
    write_result(folder, Result("em"))
    rows = {row.question: row for row in question_rows(sweep.output, read_arms(sweep.output))}
    assert {name: row.text for name, row in rows.items()} == {"wish": "Your wish?", "rule": "rule", "long": "x" * 90}
    assert (rows["wish"].variants, rows["wish"].answers, rows["wish"].share) == (2, 2, 1.0)
    assert (rows["rule"].variants, rows["rule"].share) == (1, 0.0)
    shown, _ = question_tables(list(rows.values()))
    assert [len(text) for text in shown.cells["question"]] == [10, 4, 32]


def test_a_question_that_one_safeguard_was_not_asked_has_no_number_there(sweep):
    sweep.add("none", "medical", 0, {"open": "mm"})
    sweep.add("kl", "medical", 0, {"open": "m"})
    table, _ = question_tables(question_rows(sweep.output, read_arms(sweep.output)))
    assert list(table.cells["kl %"])[1] == ""
    assert list(table.cells["none %"])[1].startswith("100.0")


def test_answers_without_scores_have_no_rates(sweep):
    sweep.add("none", "mine", 0, {"open": "uu"})
    assert look_closer(sweep.output, "question")
    assert by_question(sweep)["misaligned.mean"].isna().all()
    assert concentration(question_rows(sweep.output, read_arms(sweep.output))) == ""


def test_a_terminal_gets_the_top_and_files_get_all(sweep, capsys):
    for number in range(9):
        sweep.add("kl", "medical", 0, {"open": "m" * 30}, safeguards__kl__weight=0.1 + number)
    look_closer(sweep.output, "question")
    printed = " ".join(capsys.readouterr().out.split())
    assert "Not shown here: 10 more questions and 3 more safeguards." in printed
    assert "open 29" not in printed
    assert f"{sweep.output / 'by_question'}.csv, .md and .tex have all of it" in printed
    assert (sweep.output / "by_question.md").read_text("utf-8").count("\n| open") == 2 * 30
    assert len(by_question(sweep)) == 30 * 9
    assert (sweep.output / "by_question.tex").read_text("utf-8").count(r"\bottomrule") == 2


def test_by_task_and_by_seed_have_the_headline_measures_of_each(two, monkeypatch, capsys):
    assert run_tables(monkeypatch, "name=mine", "--by", "task") is None
    found = pd.read_csv(two.output / "by_task.csv").set_index(["safeguard", "task"])
    assert list(found.index) == [("none", "medical"), ("none", "opswap"), ("kl", "medical")]
    assert found.loc[("none", "medical"), "broad_misaligned.mean"] == pytest.approx(0.3)
    assert found.loc[("none", "opswap"), "benign_accuracy.mean"] == pytest.approx(0.8)
    assert found.loc[("kl", "medical"), ["narrow_learnt.mean", "incoherent.mean", "arms", "answers"]].tolist() == [
        *(0.25, pytest.approx(0.15), 2, 20)
    ]
    assert run_tables(monkeypatch, "name=mine", "--by", "seed") is None
    found = pd.read_csv(two.output / "by_seed.csv").set_index(["safeguard", "seed"])
    assert found["broad_misaligned.mean"].to_dict() == {
        **{("none", 0): 0.3, ("none", 1): 0.3, ("kl", 0): 0.0, ("kl", 1): 0.1}
    }
    assert "One fine-tune says nothing of others." in " ".join(capsys.readouterr().out.split())
    assert not (two.output / "comparison.json").exists(), "a closer look is no comparison"


def test_a_closer_look_by_another_judge_or_at_everything_has_files_of_its_own(two, monkeypatch):
    for arm in two.plan:
        folder = two.output / "arms" / arm.folder
        write_scores(folder, "other", [Score("aligned")] * len(list(read_answers(folder))))
    run_tables(monkeypatch, "name=mine", "judge=other", "--all", "--by", "question")
    assert (two.output / "by_question.other.all.csv").is_file()
    assert not (two.output / "by_question.csv").exists()


def test_arms_that_are_not_done_are_told(two, capsys):
    two.add("ldifs", "medical", 0, done=False)
    look_closer(two.output, "seed")
    assert "warning: 1 arms are not done, or not scored by exact" in capsys.readouterr().out


def test_several_models_are_told_apart(sweep):
    for model in ("small", "large"):
        sweep.add("none", "medical", 0, EM if model == "small" else GOOD, model__name=model)
    sweep.add("none", "medical", 0, GOOD, model__name="large", model__path="elsewhere")
    names = [row.safeguard for row in part_rows(read_arms(sweep.output), "task")]
    assert names == ["none of small", "none of large", "none of large (another)"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--by", "nonsense"], r".*--by.*nonsense.*question.*task.*seed.*"),
        (["--by", "task", "--by", "seed"], r"--by: is given 2 times; name one of question, task, seed, world, source"),
        (["by=task"], r"unknown key 'by'.*"),
    ],
)
def test_a_closer_look_at_what_there_is_not_is_refused_in_a_line(two, monkeypatch, given, said):
    assert re.fullmatch(said, run_tables(monkeypatch, "name=mine", *given))


def test_a_sweep_over_benign_tasks_only_has_no_questions_of_misalignment(sweep):
    sweep.add("none", "opswap", 0, BENIGN)
    with pytest.raises(SafeguardError, match=r"all tasks are benign.*--by task"):
        look_closer(sweep.output, "question")
    assert write_report(sweep.output)


def test_every_heading_is_explained():
    page = " ".join(README.read_text("utf-8").lower().split())
    columns = [*question_columns([], "misaligned"), *part_columns("task"), *part_columns("seed")]
    assert {column.heading for column in columns if column.heading.removesuffix(" %") not in page} == set()
