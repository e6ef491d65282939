"""Means over tasks that count alike: weights by hand, intervals by those of the tasks, and simulations."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from experiments.records.answer import Answer
from experiments.records.outcomes import Score
from experiments.records.table import scored_table
from experiments.statistics import macro_simulation
from experiments.statistics.joint import deviations, draw_rates
from experiments.statistics.macro_simulation import Tasks, difference_coverage, rate_coverage
from experiments.statistics.rates import contrast, rate, weights

PER = 5


def asked(set_: str = "benign", **tasks: list[list[int]]) -> pd.DataFrame:
    """Answers to each task, of which `hits[seed][question]` of five are right."""
    found = [
        (Answer("kl", task, seed, set_, f"{task} {n}", f"{task} {n}", sample, [], ""), sample < count)
        for task, hits in tasks.items()
        for seed, row in enumerate(hits)
        for n, count in enumerate(row)
        for sample in range(PER)
    ]
    scores = [Score("aligned" if right else "incoherent") for _, right in found]
    return scored_table((answer for answer, _ in found), scores)


STYLE = [[5, 4, 5, 4, 5, 3], [5, 5, 5, 4, 4, 4]]
SUMS = [[0, 1, 0, 2, 0, 0, 1, 0, 0, 1], [0, 0, 1, 2, 0, 1, 0, 0, 0, 0]]
COLOURS = [[5, 0, 3], [4, 1, 2]]


def test_each_task_counts_alike_however_many_questions_it_has():
    table = asked(style=[[5] * 4], sums=[[0] * 36])
    assert rate(table, "aligned").mean == 0.5
    assert rate(table, "aligned").n == 200
    assert rate(table.assign(set="open"), "aligned").mean == pytest.approx(0.1), "other questions count alike"
    assert weights(table).sum() == pytest.approx(1)
    assert weights(table)[table["task"] == "style"].sum() == pytest.approx(0.5)


def test_one_task_is_as_other_questions_are():
    """To the last digit, or published numbers would change."""
    assert rate(asked(style=STYLE), "aligned") == rate(asked("open", style=STYLE), "aligned")
    worse = [[max(0, count - 2) for count in row] for row in STYLE]
    sides = ([asked(name, style=hits) for hits in (worse, STYLE)] for name in ("benign", "open"))
    one, other = (contrast(*side, "aligned") for side in sides)
    assert one == other


def test_distances_of_bounds_add_up_as_squares():
    tasks = {"style": STYLE, "sums": SUMS, "colours": COLOURS}
    mean = rate(asked(**tasks), "aligned")
    alone = [rate(asked(**{name: hits}), "aligned") for name, hits in tasks.items()]
    assert mean.mean == pytest.approx(np.mean([each.mean for each in alone]))
    for side in ("low", "high"):
        away = [getattr(each, side) - each.mean for each in alone]
        assert abs(getattr(mean, side) - mean.mean) == pytest.approx(np.linalg.norm(away) / 3, abs=1e-3)


def test_a_difference_is_the_mean_of_paired_ones_of_tasks_that_both_have():
    worse = {"style": [[3, 3, 3, 2, 3, 1], [3, 4, 3, 2, 2, 2]], "sums": SUMS}
    found = contrast(asked(**worse, colours=COLOURS), asked(style=STYLE, sums=SUMS), "aligned")
    alone = [contrast(asked(**{name: worse[name]}), asked(**{name: hits}), "aligned").difference
             for name, hits in (("style", STYLE), ("sums", SUMS))]  # fmt: skip
    assert found.difference.mean == pytest.approx((alone[0].mean + 0) / 2)
    assert found.difference.n == 2 * PER * 16
    away = [each.low - each.mean for each in alone]
    assert found.difference.mean - found.difference.low == pytest.approx(np.linalg.norm(away) / 2, abs=1e-3)
    assert (found.p < 0.05) == (found.difference.high < 0)
    same = contrast(asked(style=STYLE, sums=SUMS), asked(style=STYLE, sums=SUMS), "aligned")
    assert same.difference.mean == 0
    assert same.p == pytest.approx(1, abs=0.02)


def test_seeds_of_two_tasks_are_other_fine_tunes():
    """That a seed is good on one task and bad on the other is no agreement of seeds."""
    up, down = [[1] * 12, [4] * 12], [[4] * 12, [1] * 12]
    same, crossed = (rate(asked(style=up, sums=other), "aligned") for other in (up, down))
    assert crossed == pytest.approx(same, abs=1e-6)


def test_draws_are_about_the_mean_and_go_with_its_questions():
    table = asked(style=STYLE, colours=COLOURS)
    drawn = draw_rates({"kl": (table, "aligned"), "again": (table, "aligned")})
    low, high = np.quantile(drawn["kl"], [0.025, 0.975])
    assert (low, high) == pytest.approx(rate(table, "aligned")[1:3], abs=0.02)
    assert np.corrcoef(drawn["kl"], drawn["again"])[0, 1] > 0.5
    cells = deviations(table, "aligned").sum()
    assert cells["colours 0"] == pytest.approx((9 - 10 * 0.5) / 30 / 2), "against the rate of its own task"


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.95])
def test_means_of_four_tasks_cover(rate):
    """The short form of `python -m experiments.coverage what=tasks`, whose table is in RESULTS.md."""
    assert rate_coverage(Tasks(4, 3, 0.3), rate, 30).held >= 0.86


def test_every_cell_is_printed(monkeypatch):
    for name, grid in {"QUESTIONS": (4, 6), "SEEDS": (2, 3), "BETWEEN_SEEDS": (0.3,)}.items():
        monkeypatch.setattr(macro_simulation, name, grid)
    with ThreadPoolExecutor(1) as pool:
        means, rule, *rows, _, _, one, two = "\n".join(macro_simulation.tables(1, pool)).strip().split("\n")
    assert means == "| means of tasks | seeds | they spread | 0.5 % | 5 % | 50 % | 95 % |"
    assert [row[:11] for row in rows[:4]] == ["| 1 | 2 | 0", "| 1 | 3 | 0", "| 2 | 2 | 0", "| 2 | 3 | 0"]
    for line in (rule, *rows[:4], one, two):
        assert line.count("|") == means.count("|")


def test_differences_of_means_cover():
    assert difference_coverage(Tasks(3, 3, 0.3), 0.5, 0.2, 12).held >= 0.75
