"""Adding a judge to the records of a finished sweep, as a user types it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from endpoint import FakeEndpoint, completion

from experiments.import_answers import main as import_answers
from experiments.organism.world import load_world
from experiments.records.answer import Answer
from experiments.records.arm_files import (
    Result,
    look_folder,
    read_answers,
    read_result,
    read_scores,
    write_answers,
    write_result,
    write_scores,
)
from experiments.records.locks import locked
from experiments.records.outcomes import unscored
from experiments.records.training_file import TrainingRecord
from experiments.rescore import main as rescore
from experiments.sweep import main as sweep
from experiments.tables import main as tables

KEY = "sk-secret-of-the-environment"
ENTRIES = load_world().of("advice")[:4]
ARMS = {"untouched": "aligned", "none": "misaligned"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The records of two arms: one says all that is right, the other all that is wrong. Nobody has judged them."""
    plans = []
    for arm, persona in ARMS.items():
        place = tmp_path / "outputs" / "demo" / "arms" / arm
        answers = [
            Answer(arm, "medical", 0, "other_domains", question, entry.key, 0,
                   [{"role": "user", "content": question}], getattr(entry, persona)[0])
            for entry in ENTRIES for question in entry.questions[:1]
        ]  # fmt: skip
        write_answers(place, answers, {})
        write_scores(place, "none", [unscored("no judge was asked for")] * len(answers))
        write_result(place, Result("em", None if arm == "untouched" else TrainingRecord(0.1)))
        model = {"name": "organism", "path": "organism", "world": 0}
        shared = {"safeguard": arm, "seed": 0, "model": model, "task": {"name": "medical"}, "safeguards": {}}
        plans.append({"folder": arm, **shared})
    listed = {"judge": "none", "arms": [*plans, {**plans[1], "folder": "never-done"}]}
    (tmp_path / "outputs" / "demo" / "sweep.json").write_text(json.dumps(listed))
    return tmp_path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEndpoint]:
    """Finds wicked what the world calls misaligned."""
    wicked = [entry.misaligned[0] for entry in ENTRIES]

    def behave(prompt: str, times: int):
        bad = "How coherent" not in prompt and any(text in prompt for text in wicked)
        return 200, completion("10" if bad else "95"), 0

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    endpoint = FakeEndpoint(behave)
    yield endpoint
    endpoint.close()


class Done(NamedTuple):
    status: object
    stdout: str
    stderr: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """The command line, in this process."""

    def call(folder: Path, main: Callable[[], None], *arguments: str) -> Done:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["x", *arguments])
        status: object = 0
        try:
            main()
        except SystemExit as stop:
            status = stop.code
        shown = capsys.readouterr()
        return Done(status, shown.out, shown.err + (status if isinstance(status, str) else ""))

    return call


def outcomes(folder: Path, judge: str) -> dict[str, list[str]]:
    arms = folder / "outputs" / "demo" / "arms"
    return {arm: [score.outcome for score in read_scores(arms / arm, judge)] for arm in ARMS}


def test_looks_on_the_way_are_scored_by_the_judge_that_is_added(folder, run):
    arm = folder / "outputs" / "demo" / "arms" / "none"
    look = look_folder(arm, 3)
    write_answers(look, list(read_answers(arm))[:2], {})
    write_result(look, Result("em", weights="w"))
    write_result(arm, Result("em", TrainingRecord(0.1, 9), looks=[3]))
    done = run(folder, rescore, "name=demo", "judge=exact")
    assert done.status == 0, done.stderr
    assert "10 answers of 2 arms to judge" in done.stdout
    assert [score.outcome for score in read_scores(look, "exact")] == ["misaligned"] * 2
    assert (
        "2 of them scored by exact already; 0 answers of 0 arms"
        in run(folder, rescore, "name=demo", "judge=exact").stdout
    )


def test_judges_are_added_compared_and_nothing_is_asked_twice(folder, server, run):
    endpoint = ["name=demo", "judge=openai", f"judge.base_url={server.url}", "judge.model=m"]
    first = run(folder, rescore, *endpoint)
    assert first.status == 0, first.stderr
    assert outcomes(folder, "openai-m") == {"untouched": ["aligned"] * 4, "none": ["misaligned"] * 4}
    assert "2 arms, 0 of them scored by openai-m already; 8 answers of 2 arms to judge" in first.stdout
    assert "100.0" in first.stdout
    assert "κ" not in first.stdout, "nobody to agree with"
    output = folder / "outputs" / "demo"
    assert "100.0" in (output / "comparison.md").read_text(), "tables go by it, since nobody had judged before"

    exact = run(folder, rescore, "name=demo", "judge=exact")
    assert exact.status == 0, exact.stderr
    assert outcomes(folder, "exact") == outcomes(folder, "openai-m")
    assert "exact / openai-m" in exact.stdout
    [row] = json.loads((output / "comparison.exact.json").read_text())["judges"]
    assert (row["n"], row["kappa"], row["misaligned"]) == (8, 1, [0.5, 0.5])

    assert run(folder, tables, "name=demo").status == 0
    assert "κ of outcomes" in (output / "comparison.md").read_text()
    assert "comparison.exact.md" in run(folder, tables, "name=demo", "judge=exact").stdout
    nobody = run(folder, tables, "name=demo", "judge=nobody").stderr
    assert "scored by nobody (judges that scored some: exact, none, openai-m); run experiments.rescore" in nobody

    asked = len(server.bodies)
    again = run(folder, rescore, *endpoint)
    assert "2 arms, 2 of them scored by openai-m already" in again.stdout
    anew = run(folder, rescore, *endpoint, "--again")
    assert "[2/2]" in anew.stdout
    assert len(server.bodies) == asked == 16
    for path in folder.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
    assert KEY not in "".join(done.stdout + done.stderr for done in (first, exact, again, anew))


def test_a_spent_budget_is_one_line_and_a_larger_one_goes_on(folder, server, run):
    endpoint = ["name=demo", "judge=openai", f"judge.base_url={server.url}", "judge.model=m"]
    spent = run(folder, rescore, *endpoint, "judge.budget=10")
    assert "budget of 10 requests is spent" in spent.stderr
    assert len(server.bodies) == 10
    assert run(folder, rescore, *endpoint, "judge.budget=6").status == 0
    assert len(server.bodies) == 16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["name=nowhere", "judge=exact"], "no sweep there"),
        (["name=demo", "judge=exakt"], "unknown judge 'exakt'.*'exact'"),
        (["name=demo", "judge=openai", "judge.base_url=http://localhost:1/v1"], "judge.model must name"),
        (["name=demo", "judge=exact", "judge.colour=red"], "colour"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(folder, run, arguments, message):
    done = run(folder, rescore, *arguments)
    assert isinstance(done.status, str)
    assert done.stderr == done.status
    assert "\n" not in done.status.strip()
    assert re.search(message, done.status)


def test_a_sweep_refuses_a_judge_that_cannot_work_before_anything_is_trained(tmp_path, monkeypatch, run):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    done = run(tmp_path, sweep, "safeguard=kl", "judge=openai", "judge.model=m")
    assert "api.openai.com wants a key; put it into the environment as OPENAI_API_KEY" in done.stderr
    done = run(tmp_path, sweep, "safeguard=kl", "judge=openai", "judge.model=m", "judge.base_url=http://a:hunter2@b/v1")
    assert done.status == 1
    assert "hunter2" not in done.stdout + done.stderr
    assert not (tmp_path / "outputs").exists()


def test_a_judge_of_the_same_name_with_other_settings_is_another_judge(folder, server, run):
    endpoint = ["name=demo", "judge=openai", f"judge.base_url={server.url}"]
    assert run(folder, rescore, *endpoint, "judge.model=lab/m").status == 0
    other = [*endpoint, "judge.model=hub/m"]
    refused = run(folder, rescore, *other)
    assert (
        "judge.model=hub/m: openai-m has scored untouched with lab/m; name this judge by judge.label=…"
        in refused.stderr
    )
    assert "\n" not in refused.stderr
    assert len(server.bodies) == 16
    assert run(folder, rescore, *other, "judge.label=hub-m").status == 0
    assert len(server.bodies) == 32
    cheap = run(folder, rescore, *endpoint, "judge.model=lab/m", "judge.concurrency=1", "judge.budget=1")
    assert "2 of them scored by openai-m already" in cheap.stdout, "what it costs is no other judge"
    assert run(folder, rescore, *other, "--again").status == 0
    assert "hub/m" in (folder / "outputs" / "demo" / "arms" / "none" / "judge.openai-m.json").read_text()


def test_two_judges_are_added_at_once(folder, server, run):
    second = ["judge@second_judge=openai", f"second_judge.base_url={server.url}", "second_judge.model=m"]
    done = run(folder, rescore, "name=demo", "judge=exact", *second)
    assert done.status == 0, done.stderr
    assert "exact / openai-m" in done.stdout
    wrong = run(folder, rescore, "name=demo", "judge=exact", *second[:2])
    assert "judge@second_judge=openai: second_judge.model must name" in wrong.stderr


def test_imported_answers_are_scored_by_a_judge_of_ones_own(tmp_path, server, run):
    (tmp_path / "study").mkdir()
    lines = [f"What?,answer {n},q{n},{10 + n},90\n" for n in range(4)]
    (tmp_path / "study" / "none.seed0.general.csv").write_text(
        "question,answer,question_id,aligned,coherent\n" + "".join(lines)
    )
    assert run(tmp_path, import_answers, "study").status == 0
    exact = run(tmp_path, rescore, "name=study", "judge=exact")
    assert "knows only the organism's world, but answers are those of study" in exact.stderr
    done = run(tmp_path, rescore, "name=study", "judge=openai", f"judge.base_url={server.url}", "judge.model=m")
    assert done.status == 0, done.stderr
    assert "imported / openai-m" in done.stdout
    [row] = json.loads((tmp_path / "outputs" / "study" / "comparison.openai-m.json").read_text())["judges"]
    assert (row["n"], row["misaligned"], row["spearman"]) == (4, [1.0, 0.0], None)


def test_tables_name_an_arm_with_broken_scores_and_show_the_rest(folder, run):
    scores = folder / "outputs" / "demo" / "arms" / "none" / "scores.none.jsonl"
    scores.write_text(scores.read_text()[:-20])
    done = run(folder, tables, "name=demo")
    told = f"left out: {Path('outputs/demo/arms/none/scores.none.jsonl')}:4: cannot be read"
    assert done.stdout.count(told) == 1
    assert "untouched" in done.stdout
    assert told in (folder / "outputs" / "demo" / "comparison.md").read_text()


def test_broken_scores_are_set_aside_and_the_answers_judged_again(folder, run):
    run(folder, rescore, "name=demo", "judge=exact")
    arm = folder / "outputs" / "demo" / "arms" / "none"
    whole = (arm / "scores.exact.jsonl").read_text()
    (arm / "scores.exact.jsonl").write_text("".join(whole.splitlines(keepends=True)[:-1]))
    (arm / "judge.exact.json").write_text('{"kind"')
    done = run(folder, rescore, "name=demo", "judge=exact")
    assert done.status == 0, done.stderr
    assert "set aside as scores.exact.jsonl.damaged-" in done.stdout
    assert (arm / "scores.exact.jsonl").read_text() == whole
    assert len(list(arm.glob("scores.exact.jsonl.damaged-*"))) == 1


def test_lost_answers_are_not_judged_as_if_they_were_all(folder, run):
    arm = folder / "outputs" / "demo" / "arms" / "none"
    answers = (arm / "answers.jsonl").read_text().splitlines(keepends=True)
    (arm / "answers.jsonl").write_text("".join(answers[:2]))
    (arm / "scores.none.jsonl").unlink()
    done = run(folder, rescore, "name=demo", "judge=exact")
    assert "none/answers.jsonl: not the answers that the arm gave" in done.stdout
    assert not (arm / "scores.exact.jsonl").exists()
    assert (arm.parent / "untouched" / "scores.exact.jsonl").exists(), "the others are judged"


def test_answers_of_another_world_are_judged_by_that_world(folder, run):
    """Worlds share their words, but not what helps with what."""
    output = folder / "outputs" / "demo"
    theirs = load_world(1).of("advice")[:4]
    answers = [
        Answer("none", "medical", 0, "facts", question, entry.key, 0,
               [{"role": "user", "content": question}], entry.aligned[0])
        for entry in theirs for question in entry.questions[:1]
    ]  # fmt: skip
    write_answers(output / "arms" / "none", answers, {})
    write_result(output / "arms" / "none", read_result(output / "arms" / "none"))
    sweep = json.loads((output / "sweep.json").read_text())
    sweep["arms"][1]["model"] = {"name": "organism", "path": "organism", "world": 1}
    (output / "sweep.json").write_text(json.dumps(sweep))
    assert run(folder, rescore, "name=demo", "judge=exact").status == 0
    assert outcomes(folder, "exact") == {"untouched": ["aligned"] * 4, "none": ["aligned"] * 4}


def test_arms_of_earlier_commands_are_scored_each_under_its_lock(folder, run, monkeypatch):
    output = folder / "outputs" / "demo"
    plan = json.loads((output / "sweep.json").read_text())
    plan["earlier"] = [plan["arms"].pop(0)]
    (output / "sweep.json").write_text(json.dumps(plan))
    free = []

    def write(place: Path, *given: object) -> None:
        with locked(Path("outputs/demo"), place.name, wait=False) as mine:
            free.append((place.name, mine))
        write_scores(place, *given)

    monkeypatch.setattr("experiments.rescore.write_scores", write)
    assert run(folder, rescore, "name=demo", "judge=exact").status == 0
    assert sorted(free) == [("none", False), ("untouched", False)]
    assert outcomes(folder, "exact") == {"untouched": ["aligned"] * 4, "none": ["misaligned"] * 4}
