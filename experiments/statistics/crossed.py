"""The standard error of a mean over seeds and questions, crossed: both drawn at random, each as a whole.

Everything here is about cells, (2, seeds, clusters): sums, and the counts they were summed over.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats


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


def interval(cells: np.ndarray) -> tuple[float, float, float]:
    """The mean of values without bounds, and its 95 % interval by Student's t."""
    mean = float(cells[0].sum() / cells[1].sum())
    error, degrees = standard_error(influence(cells))
    reach = float(stats.t.ppf(0.975, degrees)) * error if error else 0.0
    return mean, mean - reach, mean + reach
