"""How often intervals hold the truth, as a user asks for it; `test_statistics` has what it must be."""

from __future__ import annotations

import subprocess
import sys

import pytest

from experiments.coverage import ENDS, PLACES, PREVENTED, QUESTIONS, RATES, SEEDS
from experiments.statistics.ranks_simulation import ALIKE, THINGS
from experiments.statistics.ranks_simulation import WORLDS as WORLDS_OF_ORDERS
from experiments.statistics.simulation import WORLDS
from experiments.statistics.worlds_simulation import NUMBERS, PAIRS, SPREADS


def coverage(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "experiments.coverage", *arguments], capture_output=True, text=True)


def test_every_cell_is_printed():
    done = coverage("what=rates", "simulations=1")
    assert done.returncode == 0, done.stderr
    heading, rule, *rows = (line for line in done.stdout.splitlines() if line)
    assert len(rows) == len(WORLDS) * len(SEEDS) * len(QUESTIONS)
    for line in (rule, *rows):
        assert line.count("|") == heading.count("|") == 3 + len(RATES) + 1
    held = [cell.split()[0] for row in rows for cell in row.strip("|").split("|")[3:]]
    assert set(held) <= {"0.0", "100.0"}
    assert held.count("100.0") > 0.8 * len(held)


def test_every_cell_of_the_excess_is_printed():
    done = coverage("what=excess", "simulations=1")
    assert done.returncode == 0, done.stderr
    heading, rule, *rows = (line for line in done.stdout.splitlines() if line)
    assert len(rows) == len(ENDS) * len(PLACES)
    assert {line.count("|") for line in (heading, rule, *rows)} == {3 + len(PREVENTED)}
    assert rows[0].startswith("| 0.5 % | 25 % |"), "halfway between the points with 10 and 40 %"


def test_every_cell_of_the_orders_is_printed():
    done = coverage("what=orders", "simulations=1")
    assert done.returncode == 0, done.stderr
    heading, rule, *rows = (line for line in done.stdout.splitlines() if line)
    assert len(rows) == len(WORLDS_OF_ORDERS) * len(THINGS)
    assert {line.count("|") for line in (heading, rule, *rows)} == {3 + 2 * len(ALIKE)}
    assert rows[0].startswith("| 2 | 4 |")


def test_every_cell_of_worlds_is_printed():
    done = coverage("what=worlds", "simulations=1")
    assert done.returncode == 0, done.stderr
    heading, rule, *rows = (line for line in done.stdout.splitlines() if line)
    assert len(rows) == len(NUMBERS) * len(SPREADS)
    assert {line.count("|") for line in (heading, rule, *rows)} == {4 + len({other for _, other in PAIRS}) + len(PAIRS)}
    assert rows[0].startswith("| 3 | 0.4 | 0.2 |")


@pytest.mark.parametrize(
    ("argument", "said"), [("what=rate", "must be some of"), ("simulations=none", "a whole number, at least 1")]
)
def test_what_cannot_be_simulated_is_refused_in_a_line(argument, said):
    done = coverage(argument)
    assert done.returncode == 1
    assert argument in done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
