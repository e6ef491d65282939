"""Paired differences of nats: by hand, and how often their intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from experiments.statistics.estimates import NOTHING, Estimate
from experiments.statistics.shifts import mean_of, shift

Values = dict[tuple[int, str, str], float]


def draw(rng: np.random.Generator, seeds: int, clusters: int, mean: float, scale: float) -> Values:
    """Values of which seeds, clusters and single choices each have their own part."""
    seed, cluster = scale * rng.normal(size=seeds), rng.normal(size=clusters)
    return {
        (s, str(c), str(v)): mean + seed[s] + cluster[c] + 0.5 * rng.normal()
        for s in range(seeds)
        for c in range(clusters)
        for v in range(2)
    }


def test_one_seed_and_single_choices_are_students_t():
    values = {(0, str(place), "q"): value for place, value in enumerate([1.0, 2.0, 4.0, 7.0])}
    low, high = stats.t.interval(0.95, 3, loc=3.5, scale=stats.sem([1, 2, 4, 7]))
    assert mean_of(values) == pytest.approx((3.5, low, high, 4))


def test_only_what_both_have_is_compared():
    one = {(0, "a", "1"): 3.0, (0, "b", "1"): 5.0, (1, "a", "1"): 100.0}
    other = {(0, "a", "1"): 1.0, (0, "b", "1"): 1.0, (0, "c", "1"): -100.0}
    found = shift(one, other)
    assert (found.difference.mean, found.difference.n) == (3.0, 2)
    assert shift(one, {}) == (NOTHING, None)


def test_the_interval_and_the_p_value_agree():
    rng = np.random.default_rng(0)
    for _ in range(50):
        found = shift(draw(rng, 3, 10, rng.normal(), 0.3), draw(rng, 3, 10, 0.0, 0.3))
        assert found.p is not None
        assert (found.p < 0.05) == (not found.difference.low <= 0 <= found.difference.high)


def test_no_difference_at_all_is_none():
    values = {(0, "a", "1"): 1.0, (1, "b", "1"): 2.0}
    assert shift(values, values).p == 1.0


def test_of_one_seed_and_one_cluster_nothing_is_known_of_others():
    alone = shift({(0, "a", "1"): 0.5, (0, "a", "2"): -0.49}, {(0, "a", "1"): 0.0, (0, "a", "2"): 0.0})
    assert alone == (Estimate(pytest.approx(0.005), None, None, 2), None)
    of_one_seed = shift({(0, "a", "1"): 0.5, (0, "b", "1"): 0.7}, {(0, "a", "1"): 0.0, (0, "b", "1"): 0.0})
    assert of_one_seed.p is None
    assert of_one_seed.difference.low is not None


@pytest.mark.parametrize(("seeds", "clusters"), [(1, 16), (3, 16), (3, 100), (5, 30)])
def test_intervals_hold_the_truth(seeds, clusters):
    """Over fine-tunes and questions drawn anew, in cells from few to many; with seeds that differ little and much."""
    rng = np.random.default_rng(1)
    for scale in (0.0, 0.1, 0.5) if seeds > 1 else (0.0,):
        held = [(found := mean_of(draw(rng, seeds, clusters, 0.3, scale))).low <= 0.3 <= found.high for _ in range(300)]
        assert np.mean(held) >= 0.93, f"{scale}: {np.mean(held)}"
