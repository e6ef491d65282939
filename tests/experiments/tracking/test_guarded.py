"""No tracker can end an arm: what fails is said in one line and left out, and the others go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.tracking import guarded
from experiments.tracking.content import Content, Run
from experiments.tracking.guarded import Guarded
from experiments.tracking.record import Tracking

RUN = Run("id", "kl", "arm", Path("outputs/demo"), "kl.medical")


class Fake:
    """Writes down what it is asked, and fails at one of it."""

    def __init__(self, fails: str = "", error: BaseException | None = None) -> None:
        self.fails, self.error = fails, error or RuntimeError("disk\nof https://me:secret@host is gone")
        self.asked: list[str] = []

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if what == self.fails:
            raise self.error

    def curve(self, step, numbers):
        self._ask("curve")

    def send(self, content):
        self._ask("send")

    def close(self, failed):
        self._ask(f"close {failed}")


@pytest.fixture
def begin(monkeypatch):
    def make(**fakes: Fake) -> Guarded:
        for name, fake in fakes.items():
            monkeypatch.setitem(guarded.KINDS, name, lambda tracking, run, fake=fake: fake)
        return Guarded("kl.medical", lambda: (Tracking("key", list(fakes), False, "offline"), RUN))

    return make


def whole(trackers: Guarded) -> None:
    trackers.curve(1, {"loss": 1.0})
    trackers.send(Content)
    trackers.close(failed=False)


def test_what_goes_wrong_is_one_line_and_the_others_go_on(begin, capsys):
    broken, sound = Fake("curve"), Fake()
    whole(begin(wandb=broken, mlflow=sound))
    assert broken.asked == ["curve", "close True"]
    assert sound.asked == ["curve", "send", "close False"]
    assert capsys.readouterr().out == (
        "  wandb leaves kl.medical out: disk of https://…@host is gone (its records are kept)\n"
    )


@pytest.mark.parametrize("fails", ["send", "close False"])
def test_the_end_of_an_arm_can_fail_too(begin, capsys, fails):
    whole(begin(wandb=Fake(fails)))
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_one_that_cannot_even_begin_or_end_is_left_out(monkeypatch, begin, capsys):
    sound = Fake()

    def broken(tracking, run):
        raise ImportError("no module")

    made = begin(wandb=sound, mlflow=Fake())
    monkeypatch.setitem(guarded.KINDS, "mlflow", broken)
    made = Guarded("kl", lambda: (Tracking("key", ["wandb", "mlflow"], False, "offline"), RUN))
    whole(made)
    assert sound.asked == ["curve", "send", "close False"]
    assert capsys.readouterr().out == "  mlflow leaves kl out: no module (its records are kept)\n"


def test_records_that_cannot_be_read_and_a_plan_that_is_not_there_end_nothing(begin, capsys):
    def unreadable() -> Content:
        raise ValueError("answers.jsonl:3: cannot be read")

    fake = Fake()
    trackers = begin(wandb=fake)
    trackers.send(unreadable)
    trackers.close(failed=False)
    assert fake.asked == ["close False"]

    def no_plan():
        raise ValueError("no sweep there")

    whole(Guarded("kl", no_plan))
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "  tracking leaves kl.medical out: answers.jsonl:3: cannot be read (its records are kept)",
        "  tracking leaves kl out: no sweep there (its records are kept)",
    ]


def test_nothing_is_read_where_nobody_is_told():
    def read() -> Content:
        raise AssertionError

    Guarded("kl", lambda: None).send(read)


def test_who_stops_the_command_is_heard(begin):
    with pytest.raises(KeyboardInterrupt):
        begin(wandb=Fake("curve", KeyboardInterrupt())).curve(1, {})
