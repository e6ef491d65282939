"""The bootstrap over seeds and clusters of questions, crossed, and what its intervals lack where few were drawn.

Everything here is about cells, (2, seeds, clusters): sums, and the counts they were summed over. The ratio of their
totals is the rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import stats

RESAMPLES = 10_000


def resample(cells: np.ndarray) -> np.ndarray:
    """(RESAMPLES,): rates with seeds and clusters drawn anew, the same draws for all cells of one shape."""
    by_seed, by_cluster = _draws(*cells.shape[1:])
    sums, counts = (((by_seed @ side) * by_cluster).sum(1) for side in cells)
    # A resample may pair seeds with questions that they were not asked.
    rates: np.ndarray = np.divide(sums, counts, out=np.full(RESAMPLES, np.nan), where=counts > 0)
    return rates


# Tables make thousands of intervals over the same few shapes, and drawing costs most of an interval.
@lru_cache(maxsize=16)
def _draws(seeds: int, clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """(RESAMPLES, seeds) and (RESAMPLES, clusters): how often each is drawn."""
    rng = np.random.default_rng(0)
    by_seed, by_cluster = (rng.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(float) for n in (seeds, clusters))
    return by_seed, by_cluster


def influence(cells: np.ndarray) -> np.ndarray:
    """(seeds, clusters): what each cell adds to the rate's deviation from its expectation, to first order."""
    sums, counts = cells
    deviations: np.ndarray = (sums - sums.sum() / counts.sum() * counts) / counts.sum()
    return deviations


def standard_error(deviations: np.ndarray) -> tuple[float, float]:
    """That of a rate over seeds and clusters, both drawn at random, and the degrees of freedom of its estimate.

    The variance is that between seeds and that between clusters, less that of single cells, which both contain (as in
    Cameron, Gelbach and Miller 2011, J. Business & Economic Statistics 29:238; unbiased where all cells count alike).

    Args:
        deviations: (seeds, clusters), as `influence` gives them; for a difference of rates, their difference.
    """
    sides = [((deviations.sum(1 - axis) ** 2).sum(), n) for axis, n in enumerate(deviations.shape) if n > 1]
    between = [(float(squares) * n / (n - 1), n - 1) for squares, n in sides]
    variance = sum(variance for variance, _ in between)
    if len(between) == 2:
        left = deviations - deviations.mean(0) - deviations.mean(1, keepdims=True) + deviations.mean()
        cells = float((left**2).sum()) * left.size / np.prod([free for _, free in between])
        variance = max(variance - cells, cells, *(variance for variance, _ in between))
    return float(np.sqrt(variance)), degrees_of_freedom(between)


def degrees_of_freedom(variances: Sequence[tuple[float, int]]) -> float:
    """Those of a sum of variances with so many each: few where a few seeds decide, many where many questions do.

    (Satterthwaite 1946, Biometrics Bulletin 2:110.)
    """
    squares = sum(variance**2 / free for variance, free in variances)
    return sum(variance for variance, _ in variances) ** 2 / squares if squares else np.inf


def interval(resampled: np.ndarray, mean: float, deviations: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The bootstrap's percentiles, stretched about the mean to Student's t times `standard_error`.

    Percentiles alone are too narrow where a few seeds decide, since n things drawn anew vary by (n − 1)/n too little
    and by a normal, not a t; and too wide where they do not, since the noise of single answers is drawn with the seeds
    and again with the clusters. They keep their skew.
    `tests/experiments/statistics/test_statistics.py` simulates the coverage.

    Args:
        resampled: rates, or differences of rates.
        mean: that of the sample.
        deviations: (seeds, clusters), as `influence` gives them.
        level: how probable it is to be that the interval holds the truth.
    """
    low, high = np.nanpercentile(resampled, [50 * (1 - level), 50 * (1 + level)])
    error, degrees = standard_error(deviations)
    usual = float(np.nanstd(resampled)) * stats.norm.ppf(0.5 * (1 + level))
    stretch = error * stats.t.ppf(0.5 * (1 + level), degrees) / usual if usual else 1.0
    return float(mean + (low - mean) * stretch), float(mean + (high - mean) * stretch)
