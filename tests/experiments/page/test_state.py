"""How a sweep stands, by its files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from page.made_up import MadeUp, answer

from experiments.page.state import RECENT, SweepState, last_step, read_state
from experiments.records.outcomes import Score

ONE = ([answer("Yes.")], [Score("aligned")])
LOG = '{"step": 10, "loss": 1.5, "epoch": 0.25}\n{"step": 20, "loss": 1.25, "epoch": 0.5}\n'


@pytest.fixture
def sweep(tmp_path) -> MadeUp:
    return MadeUp(tmp_path / "outputs" / "mine")


def begin(sweep: MadeUp, log: str = "", **settings: object) -> Path:
    """An arm that is being trained."""
    folder = sweep.add("kl", *ONE, done=False, **settings)
    folder.mkdir(parents=True)
    if log:
        (folder / "training.jsonl").write_text(log)
    return folder


def test_an_arm_counts_as_done_once_it_is_judged(sweep):
    sweep.add("none", *ONE)
    folder = sweep.add("kl", *ONE)
    assert read_state(sweep.output).line == "2 of 2 arms done"
    (folder / "scores.exact.jsonl").unlink()
    state = read_state(sweep.output)
    assert (state.done, state.planned) == (1, 2)
    assert state.line == "1 of 2 arms done; now: kl medical seed 0, being judged"
    assert (state.judge, state.models) == ("exact", ["m"])


def test_an_arm_in_training_says_its_step(sweep):
    sweep.add("none", *ONE)
    begin(sweep, LOG, training={"epochs": 2})
    assert read_state(sweep.output).line == "1 of 2 arms done; now: kl medical seed 0, step 20 of 80, loss 1.250"


def test_an_arm_begins_trains_without_a_known_end_and_answers(sweep):
    folder = begin(sweep)
    assert read_state(sweep.output).line == "0 of 1 arms done; now: kl medical seed 0, starting"
    (folder / "training.jsonl").write_text('{"step": 7}\n')
    assert read_state(sweep.output).running == ["kl medical seed 0, step 7"]
    (folder / "training.json").write_text("{}")
    assert read_state(sweep.output).running == ["kl medical seed 0, answering"]


def test_what_has_not_changed_for_long_does_not_run(sweep):
    folder = begin(sweep, LOG)
    for path in (folder, folder / "training.jsonl"):
        past = path.stat().st_mtime - RECENT - 1
        os.utime(path, (past, past))
    state = read_state(sweep.output)
    assert (state.running, state.line) == ([], "0 of 1 arms done; none runs now")


def test_an_arm_that_stopped_says_why(sweep):
    (begin(sweep) / "error.txt").write_text("out of memory\n" + "x" * 999)
    state = read_state(sweep.output)
    assert state.failures[0].startswith("kl medical seed 0: out of memory\nxxx")
    assert len(state.failures[0]) < 450
    assert not state.running


def test_damaged_records_have_a_line_and_stop_nothing(sweep):
    sweep.add("none", *ONE)
    (sweep.add("kl", *ONE) / "result.json").write_text("{")
    state = read_state(sweep.output)
    assert state.done == 1
    (line,) = state.failures
    assert "result.json: cannot be read" in line
    (sweep.output / "sweep.json").write_text("[]")
    state = read_state(sweep.output)
    assert "sweep.json: cannot be read" in state.failures[0]
    assert state.line == "The plan of the sweep cannot be read."


def test_records_are_others_when_an_arm_is_done_or_judged_again_and_not_before(sweep):
    sweep.add("none", *ONE)
    folder = begin(sweep, LOG)
    seen = [read_state(sweep.output).records]
    (folder / "training.jsonl").write_text(LOG + LOG)
    assert read_state(sweep.output).records == seen[0]
    sweep.add("ldifs", *ONE)
    seen.append(read_state(sweep.output).records)
    (sweep.output / "arms" / "arm0" / "scores.other.jsonl").write_text("{}\n")
    seen.append(read_state(sweep.output).records)
    look = sweep.output / "arms" / "arm0" / "looks" / "step-1"
    look.mkdir(parents=True)
    (look / "scores.exact.jsonl").write_text("{}\n")
    seen.append(read_state(sweep.output).records)
    assert len(set(seen)) == 4


@pytest.mark.parametrize(
    ("log", "step"),
    [
        ("", None),
        (LOG, 20),
        (LOG + '{"step": 3', 20),
        (LOG + "[]\n", 20),
        (LOG + '{"train_loss": 1}\n', 20),
        ("\x00", None),
    ],
)
def test_the_last_step_is_that_of_the_last_whole_line(tmp_path, log, step):
    (tmp_path / "log").write_text(log)
    assert last_step(tmp_path / "log").get("step") == step


def test_a_step_of_a_broken_log_is_no_error(sweep):
    begin(sweep, json.dumps({"step": 3, "epoch": 0.0, "loss": "nan"}) + "\n", training={"epochs": None})
    assert read_state(sweep.output).running == ["kl medical seed 0, step 3"]


def test_of_many_that_run_some_are_named():
    assert SweepState("s", planned=9, done=1, running=list("abcde")).line == "1 of 9 arms done; now: a; b; c; 2 more"


def test_an_arm_says_its_world_where_there_are_several(sweep):
    sweep.add("none", *ONE, model={"name": "m", "world": 1})
    begin(sweep, model={"name": "m", "world": 2})
    assert "; now: kl medical seed 0 world 2, " in read_state(sweep.output).line
