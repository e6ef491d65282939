"""What each of several parts does to a number, from trials that have some of them: a linear model with its doubt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from experiments.statistics.estimates import Estimate

# Of the prior, as a standard deviation of an effect: so many standard deviations of the number.
PRIOR = 1.0
Z = 1.96


def linear_effects(parts: np.ndarray, values: np.ndarray) -> list[Estimate]:
    """The effect of each part on a number, the others held, with its 95 % interval; `n` are trials that have the part.

    Bayesian linear regression with a normal prior of width `PRIOR` on every effect and none on the intercept, and the
    noise of the residuals. Parts that always come together share what they do, and their intervals are wide. Trials
    that were chosen by what came of others are no random sample: that is not in the intervals.

    Args:
        parts: (trials, parts): how much of each part a trial has; 0 is nothing.
        values: (trials,).
    """
    trials, count = parts.shape
    having = [int(np.count_nonzero(column)) for column in parts.T]
    spread = float(values.std()) if trials else 0.0
    if trials < 3 or spread == 0:
        return [Estimate(None, None, None, n) for n in having]
    design = np.column_stack([np.ones(trials), parts])
    penalty = np.diag([0.0, *[1.0] * count])
    noise = spread
    for _ in range(50):  # to where the noise explains what the effects leave
        precision = design.T @ design / noise**2 + penalty / (PRIOR * spread) ** 2
        covariance = np.linalg.pinv(precision)
        means = covariance @ design.T @ values / noise**2
        used = float(np.trace(covariance @ design.T @ design) / noise**2)
        left = values - design @ means
        noise = max(float(np.sqrt((left**2).sum() / max(1.0, trials - used))), 1e-3 * spread)
    return [_estimate(means[place], covariance[place, place], n) for place, n in enumerate(having, 1)]


def _estimate(mean: float, variance: float, n: int) -> Estimate:
    width = Z * float(np.sqrt(variance))
    return Estimate(float(mean), float(mean) - width, float(mean) + width, n) if n else Estimate(None, None, None, 0)


def unbeaten(values: Sequence[Sequence[float]]) -> list[bool]:
    """Whether no other row is at least as low in every column, and lower in one."""
    table = np.asarray(values, float)
    return [not any((other <= row).all() and (other < row).any() for other in table) for row in table]
