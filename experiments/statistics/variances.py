"""Where the differences between fine-tunes come from: variances by domain, world, both together, and seed.

    rate = mean + domain + world + domain × world + seed + noise

Each is a draw of its own variance; the noise, of a finite number of questions and answers, has a covariance that is
known, since fine-tunes are asked the same questions. Variances are those of an analysis of variance (method of moments,
Henderson's third for cells that are missing): sums of squares equal what they are expected to be, from the finest
source to the coarsest. An estimate below 0 is 0.

Intervals are generalised ones (Weerahandi 1993, JASA 88:899), a parametric bootstrap the other way round: what a sum of
squares is expected to be is drawn as the sum that was found, divided by a chi-square of its degrees of freedom over
these; the variances follow from all of them together. So two or three worlds leave wide intervals, as they must, where
the quantiles of the plain bootstrap would leave short ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from experiments.statistics.estimates import NOTHING, Estimate

DOMAIN, WORLD, BOTH, SEED = "domain", "world", "domain_and_world", "seed"
SOURCES = (DOMAIN, WORLD, BOTH, SEED)
DRAWS, BOUNDS = 20_000, (0.025, 0.975)


class Parted(NamedTuple):
    """What fine-tunes differ by.

    Attributes:
        mean: over cells of domain and world, each counting alike.
        parts: the standard deviation by source, with its 95 % interval; nothing where a source has one level only, or
            cannot be told from others. `n` is the number of levels.
        noise: (fine-tunes, fine-tunes): the covariance that was given.
    """

    mean: float
    parts: Mapping[str, Estimate]
    noise: np.ndarray

    def variance(self, source: str) -> float | None:
        """That of a source; None where it is not known."""
        found = self.parts[source].mean
        return None if found is None else found**2


def part(
    values: np.ndarray, domains: Sequence[str], worlds: Sequence[str], noise: np.ndarray, largest: float = 1.0
) -> Parted:
    """Part the variance of fine-tunes.

    Args:
        values: (fine-tunes,): of each, a rate or a difference of rates.
        domains, worlds: of each; those with both alike are seeds.
        noise: (fine-tunes, fine-tunes): the known covariance of what is not the fine-tunes' own.
        largest: standard deviation that there can be: 0.5 of a rate, 1 of a difference.
    """
    cells = [f"{domain}\n{world}" for domain, world in zip(domains, worlds, strict=True)]
    marks = {DOMAIN: indicator(domains), WORLD: indicator(worlds), BOTH: indicator(cells), SEED: np.eye(len(values))}
    squares = {name: square for name, square in sums_of_squares(marks).items() if np.trace(square) > 0.5}
    by_cell = marks[BOTH] / marks[BOTH].sum(0)
    found = {name: NOTHING._replace(n=marks[name].shape[1]) for name in SOURCES}
    mean = float((by_cell.T @ values).mean())
    if not squares:
        return Parted(mean, found, noise)
    known = list(squares)
    expected = np.array([[np.trace(squares[one] @ marks[two] @ marks[two].T) for two in known] for one in known])
    sums = np.array([values @ squares[name] @ values for name in known])
    of_noise = np.array([np.trace(squares[name] @ noise) for name in known])
    free = np.array([np.trace(squares[name]) for name in known])
    drawn = sums * free / np.random.default_rng(0).chisquare(free, (DRAWS, len(known)))
    (estimates,), chances = (
        np.sqrt(solve(expected, each - of_noise).clip(0.0, largest**2)) for each in (sums[None], drawn)
    )
    for name, spread, (low, high) in zip(known, estimates, np.quantile(chances, BOUNDS, axis=0).T, strict=True):
        found[name] = Estimate(float(spread), float(min(low, spread)), float(max(high, spread)), marks[name].shape[1])
    return Parted(mean, found, noise)


def solve(expected: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """(cases, sources): the variances, none below 0, of which sums of squares are expected to be so large.

    Args:
        expected: (sources, sources): what a variance of 1 adds to each sum; nothing to those of finer sources.
        sums: (cases, sources), the finest last.
    """
    found = np.zeros_like(sums)
    for place in reversed(range(len(expected))):
        left = sums[:, place] - found @ expected[place]
        found[:, place] = np.maximum(left / expected[place, place], 0.0)
    return found


def indicator(labels: Sequence[str]) -> np.ndarray:
    """(fine-tunes, levels): which has which."""
    levels, where = np.unique(np.asarray(labels, str), return_inverse=True)
    return np.asarray(np.eye(len(levels))[where])


def sums_of_squares(marks: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Of each source the quadratic form of its sum of squares: what it explains beyond those beside it."""
    both = projection(np.hstack([marks[DOMAIN], marks[WORLD]]))
    cells = projection(marks[BOTH])
    return {
        DOMAIN: both - projection(marks[WORLD]),
        WORLD: both - projection(marks[DOMAIN]),
        BOTH: cells - both,
        SEED: np.eye(len(cells)) - cells,
    }


def projection(columns: np.ndarray) -> np.ndarray:
    """On what the columns span."""
    return np.asarray(columns @ np.linalg.pinv(columns))
