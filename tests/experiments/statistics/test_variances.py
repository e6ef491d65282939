"""Variances by source, against sums worked by hand and simulated fine-tunes whose variances are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from experiments.statistics.variances import BOTH, DOMAIN, SEED, SOURCES, WORLD, Parted, indicator, part

# By domain and world, the rates of two seeds.
HAND = {("a", "1"): (0.09, 0.11), ("a", "2"): (0.19, 0.21), ("b", "1"): (0.13, 0.15), ("b", "2"): (0.27, 0.29)}


def laid_out(rates: dict[tuple[str, str], tuple[float, ...]]) -> tuple[np.ndarray, list[str], list[str]]:
    flat = [(rate, *where) for where, own in rates.items() for rate in own]
    return np.array([rate for rate, _, _ in flat]), [one for _, one, _ in flat], [one for _, _, one in flat]


def by_hand(noise: np.ndarray) -> Parted:
    return part(*laid_out(HAND), noise)


def variances(parted: Parted) -> list[float | None]:
    return [parted.variance(source) for source in SOURCES]


def test_two_by_two_by_two_worked_by_hand():
    """Mean squares are 0.0072 of domains, 0.0288 of worlds, 0.0008 of both and 0.0002 of seeds."""
    found = by_hand(np.zeros((8, 8)))
    assert found.mean == pytest.approx(0.18)
    expected = {DOMAIN: 0.0016, WORLD: 0.0070, BOTH: 0.0003, SEED: 0.0002}
    assert variances(found) == pytest.approx([expected[source] for source in SOURCES])
    assert [found.parts[source].n for source in SOURCES] == [2, 2, 4, 8]


def test_known_noise_is_taken_from_the_source_that_it_looks_like():
    alone = by_hand(0.0001 * np.eye(8))
    assert variances(alone) == pytest.approx([0.0016, 0.0070, 0.0003, 0.0001])
    worlds = np.array(laid_out(HAND)[2])
    shared = by_hand(0.002 * (worlds[:, None] == worlds))
    assert variances(shared) == pytest.approx([0.0016, 0.0050, 0.0003, 0.0002])
    assert variances(by_hand(np.full((8, 8), 0.01))) == pytest.approx([0.0016, 0.0070, 0.0003, 0.0002]), "of all alike"


def test_no_more_than_the_noise_is_nothing():
    found = by_hand(0.01 * np.eye(8))
    assert found.parts[SEED].mean == 0
    assert found.parts[SEED].low == 0


def test_of_what_there_is_one_nothing_is_known():
    values, domains, worlds = laid_out(HAND)
    alone = part(values[:4], domains[:4], worlds[:4], np.zeros((4, 4)))
    assert [alone.parts[source].mean is None for source in SOURCES] == [True, False, True, False]
    assert alone.variance(WORLD) == pytest.approx((0.01 - 0.0002) / 2), "mean squares 0.01 and 0.0002"
    one_seed = part(values[::2], domains[::2], worlds[::2], np.zeros((4, 4)))
    assert one_seed.variance(SEED) is None
    assert one_seed.variance(BOTH) == pytest.approx(0.0004), "seeds are in it"
    nothing = part(values[:1], ["a"], ["1"], np.zeros((1, 1)))
    assert variances(nothing) == [None] * 4
    assert nothing.mean == pytest.approx(0.09)


def simulated(
    spreads: dict[str, float], many: tuple[int, int, int], rng: np.random.Generator, missing: int = 0
) -> tuple[np.ndarray, list[str], list[str], np.ndarray]:
    """Of so many domains, worlds and seeds, less some fine-tunes, with noise of answers and of a world's questions."""
    every = list(itertools.product(*(range(n) for n in many)))[missing:]
    domains, worlds = ([f"{each[place]}" for each in every] for place in (0, 1))
    marks = [indicator(domains), indicator(worlds), indicator([f"{d} {w}" for d, w, _ in every]), np.eye(len(every))]
    noise = 0.02**2 * np.eye(len(every)) + 0.02**2 * marks[1] @ marks[1].T
    spread = [spreads[name] * mark for name, mark in zip(SOURCES, marks, strict=True)]
    own = sum(each @ rng.standard_normal(each.shape[1]) for each in spread)
    return 0.4 + own + np.linalg.cholesky(noise) @ rng.standard_normal(len(every)), domains, worlds, noise


@pytest.mark.parametrize(
    ("spreads", "many", "missing"),
    [
        ((0.1, 0.1, 0.05, 0.05), (3, 3, 3), 0),
        ((0.0, 0.15, 0.0, 0.05), (2, 2, 2), 0),
        ((0.1, 0.0, 0.1, 0.0), (3, 4, 2), 5),
    ],
)
def test_intervals_hold_the_variances_that_were_simulated(spreads, many, missing):
    rng, known = np.random.default_rng(3), dict(zip(SOURCES, spreads, strict=True))
    held, times = dict.fromkeys(SOURCES, 0), 80
    for _ in range(times):
        parts = part(*simulated(known, many, rng, missing)).parts
        for source in SOURCES:
            held[source] += parts[source].low <= known[source] <= parts[source].high
    assert min(held.values()) >= 0.86 * times, held


def test_estimates_are_right_in_the_mean_where_cells_are_missing():
    rng, known = np.random.default_rng(5), {DOMAIN: 0.2, WORLD: 0.2, BOTH: 0.1, SEED: 0.1}
    found = np.mean([variances(part(*simulated(known, (6, 6, 2), rng, 5))) for _ in range(60)], 0)
    assert np.sqrt(found) == pytest.approx([known[source] for source in SOURCES], rel=0.12)


def test_two_worlds_leave_a_wide_interval_and_none_goes_beyond_what_there_can_be():
    values, domains, worlds = laid_out(HAND)
    found = part(values, domains, worlds, np.zeros((8, 8)), largest=0.5).parts[WORLD]
    assert found.low < found.mean < 0.3 < found.high <= 0.5
