"""Rank correlations: of pairs, and means over worlds with intervals that hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.statistics.estimates import NOTHING
from experiments.statistics.ranks import mean_correlation, rank_correlation, spearman
from experiments.statistics.ranks_simulation import Worlds, correlations, order_coverage


def test_spearman_goes_by_ranks():
    assert spearman(np.array([1.0, 2, 90]), np.array([5.0, 60, 61])) == pytest.approx(1)
    assert spearman(np.array([1.0, 2, 3]), np.array([7.0, 7, 7])) is None


def test_the_rank_correlation_is_spearmans():
    one, other = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 3.0, 2.0, 4.0, 6.0, 5.0]
    found = rank_correlation(one, other)
    assert found.mean == pytest.approx(1 - 6 * 4 / (6 * 35))
    assert -1 < found.low < found.mean < found.high < 1
    assert found.n == 6


def test_little_or_constant_data_has_no_correlation():
    assert rank_correlation([1.0, 2.0], [1.0, 2.0]) == NOTHING
    assert rank_correlation([1.0] * 6, list(range(6))) == NOTHING


def test_the_interval_of_a_correlation_holds_the_truth():
    rng = np.random.default_rng(2)
    true, held = 6 / np.pi * np.arcsin(0.8 / 2), []
    for _ in range(400):
        x, y = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 15).T
        found = rank_correlation(x, y)
        held.append(found.low <= true <= found.high)
    assert 0.92 <= np.mean(held) <= 0.985


@pytest.mark.parametrize(
    ("found", "ranked", "mean", "low", "high"),
    [
        # variance 0.08; beside it one of (1 − 0.4²) / 3 = 0.28: a standard error of 0.3, with two degrees of freedom
        ([[0.8], [0.4]], 4, 0.6, 0.6 - 4.302653 * 0.3, 1.0),
        # no variance; beside it (1 − 0.375²) / 6, so that equal worlds do not make it certain
        ([[0.5, 0.5, 0.5]], 7, 0.5, 0.0985, 0.9015),
        ([[0.5, np.nan, 0.5, 0.5]], 7, 0.5, 0.0985, 0.9015),
    ],
)
def test_the_mean_over_worlds_has_an_interval_for_other_worlds(found, ranked, mean, low, high):
    assert mean_correlation(np.array(found), ranked)[:3] == pytest.approx((mean, low, high), abs=1e-4)


def test_worlds_of_both_sides_count():
    """What is equal within a world of one side is one world seen often, and not many."""
    rows = np.repeat([[0.9], [0.1], [0.5]], 3, axis=1)
    found, alone = mean_correlation(rows, 13), mean_correlation(rows[:, :1], 13)
    assert found.n == 9
    assert found == mean_correlation(rows.T, 13)
    assert found.high - found.low >= alone.high - alone.low
    assert mean_correlation(rows.reshape(9, 1), 13).low > alone.low + 0.1, "nine worlds would tell more"


def test_one_world_says_nothing_of_others():
    assert mean_correlation(np.array([[0.3]]), 5) == (0.3, None, None, 1)
    assert mean_correlation(np.array([[np.nan]]), 5) == NOTHING


@pytest.mark.parametrize(("worlds", "things", "alike", "kinds"), [(2, 4, 0.5, 1), (3, 4, 0.9, 1), (5, 7, 0.9, 2)])
def test_intervals_over_worlds_hold_the_truth(worlds, things, alike, kinds):
    """Student's hold it 75 and 72 times in 100 in the first two: few worlds with few things are equal by chance."""
    assert order_coverage(Worlds(worlds, things, alike, kinds), 150).held >= 0.93


def test_simulated_correlations_are_spearmans():
    one, other = np.random.default_rng(0).normal(size=(2, 3, 6))
    expected = [[spearman(a, b) for b in other] for a in one]
    assert correlations(one, other) == pytest.approx(np.array(expected))
