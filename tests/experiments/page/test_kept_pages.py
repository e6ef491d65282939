"""Pages in memory: made once for the same records, anew for others, never twice at a time, and nothing is written."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from page.made_up import MadeUp, answer

from experiments.page import kept_pages
from experiments.page.kept_pages import KeptPages
from experiments.page.page import embedded, whole_page
from experiments.pictures.picture import Picture
from experiments.records.outcomes import Score

ONE = ([answer("Yes.")], [Score("aligned")])


@pytest.fixture
def sweep(tmp_path) -> MadeUp:
    sweep = MadeUp(tmp_path / "outputs" / "mine")
    sweep.add("none", *ONE)
    return sweep


@pytest.fixture
def made(monkeypatch) -> list[str]:
    """The names of the sweeps of which a page was made, in order."""
    names: list[str] = []
    make = kept_pages.make_report

    def counted(output: Path):
        names.append(output.name)
        return make(output)

    monkeypatch.setattr(kept_pages, "make_report", counted)
    return names


def settled(pages: KeptPages, name: str = "mine") -> dict:
    """The state of a sweep once its page is made, or could not be."""
    for _ in range(500):
        if "being made" not in (state := pages.state(name))["line"]:
            return state
        time.sleep(0.02)
    raise AssertionError("the page is never made")


def files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_page_is_made_once_and_nothing_is_written(sweep, made):
    before = files(sweep.output.parent)
    pages = KeptPages(sweep.output.parent)
    first = pages.state("mine")
    assert first["line"] == "1 of 1 arms done; the page is being made …"
    assert first["version"] == ""
    assert json.loads(pages.contents("mine"))["page"] is None
    state = settled(pages)
    assert (state["line"], state["failures"]) == ("1 of 1 arms done", [])
    contents = json.loads(pages.contents("mine"))
    assert contents["version"] == state["version"] != ""
    assert contents["page"]["rows"] == ["none"]
    settled(pages)
    assert made == ["mine"]
    assert files(sweep.output.parent) == before


def test_it_is_made_anew_when_an_arm_is_done(sweep, made):
    pages = KeptPages(sweep.output.parent)
    before = settled(pages)
    sweep.add("kl", *ONE)
    assert pages.state("mine")["version"] == before["version"], "the one before stays until the new one is there"
    assert settled(pages)["version"] != before["version"]
    assert json.loads(pages.contents("mine"))["page"]["rows"] == ["none", "kl"]
    assert made == ["mine", "mine"]


def test_no_page_is_made_twice_at_a_time(sweep, monkeypatch):
    other = MadeUp(sweep.output.parent / "other")
    other.add("none", *ONE)
    at_once, most, lock, make = [0], [0], threading.Lock(), kept_pages.make_report

    def slow(output: Path):
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.1)
        try:
            return make(output)
        finally:
            with lock:
                at_once[0] -= 1

    monkeypatch.setattr(kept_pages, "make_report", slow)
    pages = KeptPages(sweep.output.parent)
    asking = [threading.Thread(target=pages.state, args=(name,)) for name in ("mine", "other") * 4]
    for thread in asking:
        thread.start()
    settled(pages)
    settled(pages, "other")
    assert most == [1]


def test_without_a_finished_arm_the_state_says_so(sweep, made):
    new = MadeUp(sweep.output.parent / "new")
    new.add("none", *ONE, done=False)
    pages = KeptPages(sweep.output.parent)
    assert pages.state("new") == {
        "line": "0 of 1 arms done; none runs now",
        "running": False,
        "failures": [],
        "version": "",
    }
    assert made == []


def test_records_that_cannot_be_compared_have_a_line_and_are_tried_again_when_they_change(sweep, made):
    path = sweep.output / "arms" / "arm0" / "answers.jsonl"
    whole = path.read_text()
    path.write_text("{}\n")
    pages = KeptPages(sweep.output.parent)
    state = settled(pages)
    assert state["version"] == ""
    assert "answers.jsonl: not the answers that the arm gave" in state["failures"][0]
    settled(pages)
    assert made == ["mine"], "the same records are not tried again"
    path.write_text(whole)
    assert settled(pages)["failures"] == []
    assert json.loads(pages.contents("mine"))["page"]["rows"] == ["none"]


def test_pictures_that_were_drawn_of_these_records_are_shown(sweep, tmp_path):
    (tmp_path / "p.svg").write_text("<svg/>")
    drawn = embedded(Picture(tmp_path / "p", "title", "caption"))
    (sweep.output / "report.html").write_text(whole_page({"name": "mine", "pictures": [drawn]}))
    pages = KeptPages(sweep.output.parent)
    settled(pages)
    assert json.loads(pages.contents("mine"))["page"]["pictures"] == [drawn]
    time.sleep(0.02)
    sweep.add("kl", *ONE)
    settled(pages)
    assert json.loads(pages.contents("mine"))["page"]["pictures"] == []
