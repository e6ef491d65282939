"""Whether two measures put the same things into the same order, among these things or in other worlds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from experiments.statistics.crossed import Variances, influence, variances
from experiments.statistics.estimates import NOTHING, Estimate

# With fewer pairs, the interval for other pairs would be all there is.
FEWEST = 5
# An order of two things is right by chance half of the time.
FEWEST_RANKED = 3


def spearman(one: Sequence[float] | np.ndarray, other: Sequence[float] | np.ndarray) -> float | None:
    """Rank correlation; None where one of the two does not vary."""
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(stats.spearmanr(one, other).statistic)


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> Estimate:
    """Spearman's correlation of pairs, with a 95 % interval for other pairs of the same kind; `n` is their number.

    The interval is Fisher's, with the variance (1 + ρ² / 2) / (n − 3) (Bonett and Wright 2000, Psychometrika 65:23).
    Nothing is said of fewer than `FEWEST` pairs, or where one side is all the same.
    """
    n = len(one)
    found = spearman(one, other) if n >= FEWEST else None
    if found is None:
        return NOTHING
    reach = float(stats.norm.ppf(0.975)) * np.sqrt((1 + found**2 / 2) / (n - 3))
    centre = np.arctanh(np.clip(found, -1 + 1e-12, 1 - 1e-12))
    low, high = np.tanh([centre - reach, centre + reach])
    return Estimate(found, float(low), float(high), n)


def mean_correlation(found: np.ndarray, ranked: float) -> Estimate:
    """The mean of rank correlations, with a 95 % interval for other worlds of these very things; `n` is their number.

    Between few worlds, correlations of few things are often equal by chance, so that Student's interval is too short,
    or so unequal that it is wider than the scale. So the variance between worlds counts as if one degree of freedom
    more had been seen at that of unrelated orders, 1 / (n − 1), less what the mean leaves of it (a moderated t, as in
    Smyth 2004, Stat. Appl. Genet. Mol. Biol. 3:3), and the interval ends where the scale does. If no side has several
    worlds, there is none.

    Args:
        found: (worlds of one side, worlds of the other), both drawn at random where there are several; NaN where a
            correlation is not known.
        ranked: how many things were ranked.
    """
    known = ~np.isnan(found)
    found = found[known.any(1)][:, known.any(0)]
    if not found.size:
        return NOTHING
    known = ~np.isnan(found)
    mean, n = float(np.nanmean(found)), int(known.sum())
    between, cells = variances(influence(np.stack([np.nan_to_num(found), known.astype(float)])))
    if not between:
        return Estimate(mean, None, None, n)
    moderated = []
    for variance, free in between:
        worlds = free + 1
        usual = (1 - (mean * worlds / (worlds + 1)) ** 2) / (ranked - 1)
        moderated.append(((free * variance + usual / worlds) / worlds, worlds))
    reach = Variances(moderated, cells).reach()
    return Estimate(mean, max(-1.0, mean - reach), min(1.0, mean + reach), n)
