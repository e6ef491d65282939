"""Simulated worlds that order things nearly alike, and how often the interval of their mean rank correlation holds it.

Things have scores in a published order, which is fixed, and in each world others that are correlated with it: a half of
what parts them from it is common to all worlds of one kind, as an organism has an order of its own, and the rest is
the world's. The truth is the mean over all worlds of these very things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np

from experiments.statistics.estimates import Estimate
from experiments.statistics.ranks import mean_correlation
from experiments.statistics.simulation import Coverage

WORLDS, THINGS, ALIKE = (2, 3, 5, 10), (4, 7, 13), (0.1, 0.5, 0.9)
# Part of the variance within a kind of worlds that all of them share, and worlds that give the truth.
COMMON, MANY = 0.5, 500
# What a correlation may lie beside its interval and still is in it: the truth is known to about this.
KNOWN_TO = 0.005


@dataclass(frozen=True)
class Worlds:
    """So many worlds of a kind rank so many things, whose scores are so correlated with the published ones."""

    worlds: int
    things: int
    alike: float
    kinds: int = 1


def order_coverage(design: Worlds, simulations: int) -> Coverage:
    """That of the mean rank correlation with a published order, or, of two kinds of worlds, with each other."""
    found = [simulate(np.random.default_rng([12, n]), design) for n in range(simulations)]
    truth, low, high = np.array([(mean, seen.low, seen.high) for mean, seen in found], float).T
    below, above = high < truth - KNOWN_TO, low > truth + KNOWN_TO
    held = 1 - below.mean() - above.mean()
    return Coverage(float(held), float(below.mean()), float(above.mean()), float((high - low).mean()))


def simulate(rng: np.random.Generator, design: Worlds) -> tuple[float, Estimate]:
    """The true mean, and what few worlds say of it."""
    published = rng.normal(size=design.things)
    kinds = [partial(draw, rng, design, published, rng.normal(size=design.things)) for _ in range(design.kinds)]
    others: list[Callable[[int], np.ndarray]] = [*kinds[1:], lambda _: published[None]]
    truth = correlations(kinds[0](MANY), others[0](MANY))
    seen = correlations(kinds[0](design.worlds), others[0](design.worlds))
    return float(truth.mean()), mean_correlation(seen, design.things)


def draw(rng: np.random.Generator, design: Worlds, published: np.ndarray, common: np.ndarray, count: int) -> np.ndarray:
    """(worlds, things): scores in so many worlds of a kind."""
    own = np.sqrt(COMMON) * common + np.sqrt(1 - COMMON) * rng.normal(size=(count, design.things))
    return np.asarray(design.alike * published + np.sqrt(1 - design.alike**2) * own)


def correlations(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(worlds of one, worlds of the other): Spearman's, of scores without ties."""
    ranks = [each.argsort(1).argsort(1) - (each.shape[1] - 1) / 2 for each in (scores, others)]
    return np.asarray(ranks[0] @ ranks[1].T / (ranks[0][0] ** 2).sum())


def tables(simulations: int, pool: Executor) -> Iterator[str]:
    """Lines of a table in Markdown: a row per number of worlds and things, a column per correlation and other side."""
    sides = {1: "published", 2: "each other"}
    columns = list(product(sides, ALIKE))
    rows = list(product(WORLDS, THINGS))
    waiting = [
        [pool.submit(order_coverage, Worlds(*row, alike, kinds), simulations) for kinds, alike in columns]
        for row in rows
    ]
    yield f"\n| worlds | ranked | {' | '.join(f'{sides[kinds]}, {alike:g}' for kinds, alike in columns)} |"
    yield f"|--:|--:|{'--:|' * len(columns)}"
    for (worlds, things), cells in zip(rows, waiting, strict=True):
        yield f"| {worlds} | {things} | {' | '.join(str(each.result()) for each in cells)} |"
