"""What has a place on the frontier of what is prevented against what is learnt."""

from __future__ import annotations

from report.rows import make_row, rate

from experiments.records.measures import BENIGN_ACCURACY, BROAD_MISALIGNED, NARROW_LEARNT
from experiments.report.frontier import is_ranked
from experiments.report.measures import Goal
from experiments.report.row import ComparisonRow


def row(
    through: float | None,
    learnt: float,
    reached: int | None = None,
    benign: float | None = None,
    learns: bool | None = True,
) -> ComparisonRow:
    goal = {} if reached is None else {"em": Goal(3, reached, None, None), "benign": Goal(2, 1, None, None)}
    rates = {BROAD_MISALIGNED: rate(through), NARROW_LEARNT: rate(learnt), BENIGN_ACCURACY: rate(benign)}
    return make_row("kl", rates, learns, goal=goal)


def test_rows_without_numbers_are_not_ranked():
    assert not is_ranked(row(None, 0.9), NARROW_LEARNT)
    assert is_ranked(row(0.2, 0.8), NARROW_LEARNT)
    assert not is_ranked(row(0.2, 0.8), BENIGN_ACCURACY)


def test_a_row_that_never_reached_the_goal_is_not_ranked():
    assert not is_ranked(row(0.05, 0.9, reached=2), NARROW_LEARNT)
    assert is_ranked(row(0.2, 0.8, reached=3), NARROW_LEARNT)


def test_a_benign_task_that_never_reached_the_goal_takes_nothing_from_the_narrow_one():
    missed = row(0.2, 0.8, reached=3, benign=0.5)
    assert is_ranked(missed, NARROW_LEARNT)
    assert not is_ranked(missed, BENIGN_ACCURACY)


def test_what_learns_nothing_is_not_ranked():
    assert not is_ranked(row(0.003, 0.005, learns=False), NARROW_LEARNT)


def test_what_learns_nothing_of_the_narrow_task_is_not_ranked_for_the_benign_one():
    """It lets nothing through because it was taught nothing, whatever it learns elsewhere."""
    assert is_ranked(row(0.2, 0.8, benign=0.3), BENIGN_ACCURACY)
    assert not is_ranked(row(0.003, 0.005, benign=0.45, learns=False), BENIGN_ACCURACY)
