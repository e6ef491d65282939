"""All sweeps at a glance."""

from __future__ import annotations

import json
import os

import pytest
from page.made_up import MadeUp, answer

from experiments.page.overview import HEADINGS, overview
from experiments.records.outcomes import Score

ONE = ([answer("Yes.")], [Score("aligned")])
RATE = {"mean": 0.5, "low": 0.25, "high": 0.75, "n": 9}


@pytest.fixture
def sweep(tmp_path) -> MadeUp:
    sweep = MadeUp(tmp_path / "outputs" / "<b>mine")
    sweep.add("none", *ONE)
    sweep.add("kl", *ONE, done=False)
    for place, folder in enumerate((sweep.output, sweep.output / "arms" / "arm0")):
        for path in folder.iterdir():
            os.utime(path, (1e9 + place, 1e9 + place))
    return sweep


def rows(sweep: MadeUp, *names: str) -> list[dict[str, str]]:
    page = overview(sweep.output.parent, [sweep.output.name, *names])["page"]
    return [dict(zip(HEADINGS, row, strict=True)) for row in page["tables"][0]["rows"]]


def test_a_sweep_has_a_row_and_an_address(sweep):
    (row,) = rows(sweep)
    assert {name: row[name] for name in ("sweep", "arms done", "now", "judge", "model", "none %", "found")} == {
        "sweep": "<b>mine",
        "arms done": "1 of 2",
        "now": "stopped",
        "judge": "exact",
        "model": "m",
        "none %": "",
        "found": "",
    }
    assert row["last change"].startswith("2001-09-0")
    assert overview(sweep.output.parent, ["<b>mine"])["page"]["tables"][0]["links"] == ["./%3Cb%3Emine/"]


def test_numbers_are_those_of_the_comparison_unless_records_are_newer(sweep):
    found = [{"safeguard": "none", "broad_misaligned": RATE, "more": 1}, {"safeguard": "kl", "verdict": "prevents"}]
    found += [
        {"safeguard": "ldifs", "survives": True},
        {"safeguard": "low_lr", "survives": False, "verdict": "not shown"},
    ]
    path = sweep.output / "comparison.json"
    path.write_text(json.dumps({"rows": found}))
    (row,) = rows(sweep)
    assert (row["none %"], row["untouched %"]) == ("50.0 [25, 75]", "")
    assert row["found"] == "prevents: kl; differs: ldifs"
    os.utime(path, (9e8, 9e8))
    assert rows(sweep)[0]["found"] == ""


@pytest.mark.parametrize("text", ["", "[]", '{"rows": 3}', '{"rows": [{"safeguard": 1}]}', "\x00"])
def test_a_broken_comparison_is_left_out(sweep, text):
    (sweep.output / "comparison.json").write_text(text)
    assert rows(sweep)[0]["none %"] == ""


def test_the_last_changed_comes_first_and_a_damaged_one_is_told(sweep):
    newer = MadeUp(sweep.output.parent / "newer")
    newer.add("none", *ONE)
    damaged = sweep.output.parent / "damaged"
    damaged.mkdir()
    (damaged / "sweep.json").write_text("{")
    assert [row["sweep"] for row in rows(sweep, "newer", "damaged")] == ["newer", "<b>mine", "damaged"]
    told = overview(sweep.output.parent, ["newer", "damaged"])
    assert told["line"] == "2 sweeps; none runs now"
    assert [line.partition(":")[0] for line in told["failures"]] == ["damaged"]
