"""The frontier of what is prevented against what is learnt."""

from __future__ import annotations

from dataclasses import replace

from report.rows import make_row, rate

from experiments.report.frontier import frontier
from experiments.report.measures import BENIGN_ACCURACY, BROAD_MISALIGNED, NARROW_LEARNT, Goal
from experiments.report.plots import plot_frontier
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


def marked(*rows: ComparisonRow, learnt=NARROW_LEARNT) -> list[bool | None]:
    return [frontier(each, rows)[learnt] for each in rows]


def test_a_row_is_on_the_frontier_unless_another_is_no_worse_in_both():
    assert marked(row(0.5, 0.9), row(0.2, 0.8), row(0.3, 0.7), row(0.1, 0.1)) == [True, True, False, True]


def test_equal_rows_do_not_beat_each_other():
    assert marked(row(0.2, 0.8), row(0.2, 0.8)) == [True, True]


def test_rows_without_numbers_are_not_ranked():
    rows = [row(None, 0.9), row(0.2, 0.8)]
    assert marked(*rows) == [None, True]
    assert marked(*rows, learnt=BENIGN_ACCURACY) == [None, None]


def test_a_row_that_never_reached_the_goal_is_not_ranked_and_beats_nobody():
    assert marked(row(0.05, 0.9, reached=2), row(0.2, 0.8, reached=3)) == [None, True]


def test_a_benign_task_that_never_reached_the_goal_takes_nothing_from_the_narrow_one():
    rows = [row(0.2, 0.8, reached=3, benign=0.5)]
    assert marked(*rows) == [True]
    assert marked(*rows, learnt=BENIGN_ACCURACY) == [None]


def test_what_learns_nothing_is_not_ranked_and_beats_nobody():
    rows = [row(0.5, 0.95), row(0.003, 0.005, learns=False), row(0.1, 0.1)]
    assert marked(*rows) == [True, None, True]


def test_what_learns_nothing_of_the_narrow_task_is_not_ranked_for_the_benign_one():
    """It lets nothing through because it was taught nothing, whatever it learns elsewhere."""
    rows = [row(0.2, 0.8, benign=0.3), row(0.003, 0.005, benign=0.45, learns=False)]
    assert marked(*rows, learnt=BENIGN_ACCURACY) == [True, None]


def test_a_plot_of_many_arms_names_each(tmp_path):
    from matplotlib.image import imread

    rows = [row(0.02 * n, 0.04 * n, reached=3 - (n == 7)) for n in range(24)] + [row(None, 0.1)]
    rows = [replace(each, safeguard=f"arm{n}", frontier=frontier(each, rows)) for n, each in enumerate(rows)]
    plot_frontier(rows, tmp_path / "plot.png")
    assert 5.5 * 150 < imread(tmp_path / "plot.png").shape[1] < 11 * 150  # one side, and names beside it
