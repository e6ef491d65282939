"""The command of external validity: what cannot be compared is told in one line, before anything is computed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from report.test_report import Sweep
from report.test_stopping_curve import em
from report.test_validity import add, choices, make_world

from experiments import validity
from experiments.records.sweep_file import SweepFile, read_sweep, write_sweep


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Runs the command, and returns the line with which it ended."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["validity", *arguments])
        with pytest.raises(SystemExit) as ended:
            validity.main()
        assert isinstance(ended.value.code, str)
        assert "\n" not in ended.value.code
        return ended.value.code

    return run


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "COLUMN=…: name a column and its sweeps, such as"),
        (["one"], "'one': settings are given as key=value, such as COLUMN=one"),
        (["ours="], "ours=: must have a value"),
        (["=one"], "=one: has no name before the =; write COLUMN=one"),
        (["ours=one,,two"], "ours=one,,two: outputs/one: no sweep there; known: two"),
        (["ours=two,"], "ours=two,: has an empty name of a sweep"),
        (["ours=../x"], "name=../x: must be letters, digits"),
        (["ours=tow"], "ours=tow: outputs/tow: no sweep there; known: two"),
        (["ours=two", "ours=two"], "ours: is given twice"),
        (["ours=two,two"], "ours: two is named twice; each sweep is one world"),
        (["ours=two", "theirs=two"], "ours and theirs: two is named twice"),
        (["code v3=two"], "code v3=…: is what a published table is called; name the column otherwise"),
        (["ours=two", "--every"], "--every: no such flag here; known: --help, --all"),
        (["ours=two", "judge=gpt"], "outputs/two: has no none that is done and scored by gpt"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(told, arguments, complaint):
    make_world(Path("outputs") / "two", {"kl": 4})
    assert told(*arguments).startswith(complaint)


def test_a_sweep_of_benign_tasks_alone_says_nothing(told):
    alone = Sweep(Path("outputs") / "alone")
    for name in ("none", "kl"):
        alone.add(name, "colours", 0, {"benign": "aaaa"})
    assert told("ours=alone").startswith("outputs/alone: has benign tasks alone (colours), after which nothing breaks")


def test_what_earlier_commands_asked_for_counts_if_it_is_asked_for(told, monkeypatch, capsys):
    output = make_world(Path("outputs") / "two", {"kl": 4})
    plan = read_sweep(output)
    alone = Sweep(output)
    alone.add("none", "colours", 1, {"benign": "aaaa"})
    write_sweep(output, SweepFile("exact", alone.plan, plan.arms))
    assert "if an earlier command of this name did, add --all" in told("ours=two")
    monkeypatch.setattr(sys, "argv", ["validity", "ours=two", "--all"])
    validity.main()
    assert "75.0" in capsys.readouterr().out


def test_a_column_is_of_one_judge_one_set_of_questions_and_several_worlds(told):
    outputs = Path("outputs")
    make_world(outputs / "one", {"kl": 4}, 0)
    make_world(outputs / "again", {"kl": 4}, 0)
    assert told("ours=one,again").startswith("ours: one and again are one world, of the same model; name one of them")

    other = Sweep(outputs / "other")
    for name in ("none", "kl"):
        add(other, name, {"other_domains": "mmaa", "narrow": "mmmm"}, 1)
    assert told("ours=one,other").startswith(
        "ours: one goes by questions, open, other by questions, other_domains; make two columns of them"
    )

    judged = make_world(outputs / "judged", {"kl": 4}, 2)
    arms = Sweep(judged)
    for folder in (judged / "arms").iterdir():
        (folder / "scores.exact.jsonl").rename(folder / "scores.gpt.jsonl")
    from experiments.records.sweep_file import read_sweep

    write_sweep(arms.output, SweepFile("gpt", read_sweep(judged).arms))
    assert told("ours=one,judged").startswith(
        "ours: one goes by judge exact, judged by judge gpt; go by one, with judge=…"
    )

    unjudged = Sweep(outputs / "unjudged")
    for name in ("none", "kl"):
        choices(unjudged, name, 0.5, 3)
    assert "judge exact, unjudged by choices, not at equal capability" in told("ours=one,unjudged")


def test_a_sweep_must_have_what_all_is_set_against_and_one_model(told):
    outputs = Path("outputs")
    alone = Sweep(outputs / "alone")
    add(alone, "kl", em(18, 4), 0)
    assert told("ours=alone").startswith("outputs/alone: has no none that is done and scored by exact")
    add(alone, "none", em(18, 16), 0)
    add(alone, "kl", em(18, 4), 1)
    assert told("ours=alone").startswith("outputs/alone: has no none in world 1 that is done and scored by exact")
    add(alone, "none", em(18, 16), 1, model__dtype="float32")
    assert told("ours=alone").startswith("outputs/alone: has several models (")
    silent = Sweep(outputs / "silent")
    for name in ("none", "kl"):
        add(silent, name, {"open": "uuuu"}, 0)
    assert told("ours=silent").startswith("outputs/silent: exact scored no broad answer of none, and it has no choices")


@pytest.mark.parametrize("arguments", [["--help"], ["ours=gone"]])
def test_neither_help_nor_an_error_waits_for_a_model_library(tmp_path, arguments):
    code = f"import sys; sys.argv[1:] = {arguments!r}\nfrom experiments.validity import main\n"
    code += "try:\n    main()\nfinally:\n    assert not {'torch', 'transformers', 'trl', 'pandas'} & {*sys.modules}\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "AssertionError" not in done.stderr
    assert ("published tables" in done.stdout) == (arguments == ["--help"])
