"""Rates with their uncertainty, from records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from experiments.records import Record

RESAMPLES = 4000


class Estimate(NamedTuple):
    """A mean with its 95 % interval; `n` is the number of answers (or rows) behind it."""

    mean: float | None
    low: float | None
    high: float | None
    n: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return self._asdict()


NOTHING = Estimate(None, None, None, 0)


def rate(records: Iterable[Record], outcome: str) -> Estimate:
    """The share of answers with `outcome` among all that a judge scored.

    Answers to one question are not independent, nor are answers of one fine-tune, so the interval is a bootstrap that
    draws questions and seeds anew, each as a whole and crossed.
    """
    hits: dict[tuple[int, str], int] = defaultdict(int)
    totals: dict[tuple[int, str], int] = defaultdict(int)
    for record in records:
        if record.outcome == "unscored":
            continue
        cell = (record.seed, f"{record.task}/{record.set}/{record.cluster}")
        totals[cell] += 1
        hits[cell] += record.outcome == outcome
    if not totals:
        return NOTHING
    seeds = sorted({seed for seed, _ in totals})
    clusters = sorted({cluster for _, cluster in totals})
    counts = np.array([[[side.get((s, c), 0) for c in clusters] for s in seeds] for side in (hits, totals)], float)
    return _bootstrap(counts)


def _bootstrap(counts: np.ndarray) -> Estimate:
    """An estimate from (2, seeds, clusters): hits and totals."""
    hits, totals = counts.sum((1, 2))
    _, seeds, clusters = counts.shape
    mean, n = float(hits / totals), int(totals)
    if hits in (0, totals):
        # No resample can differ from the sample, so bound the rate exactly, with a cluster counting as one draw.
        low, high = stats.binomtest(int(hits > 0) * clusters, clusters).proportion_ci()
        return Estimate(mean, float(low), float(high), n)
    if clusters == 1:
        return Estimate(mean, 0.0, 1.0, n)  # one question tells nothing about others
    rng = np.random.default_rng(0)
    seed_weights = rng.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES)
    cluster_weights = rng.multinomial(clusters, np.full(clusters, 1 / clusters), RESAMPLES)
    drawn = np.einsum("rs,ksc,rc->kr", seed_weights, counts, cluster_weights, optimize=True)
    asked = drawn[1] > 0  # a resample may pair seeds with questions that they were not asked
    low, high = np.percentile(drawn[0][asked] / drawn[1][asked], [2.5, 97.5])
    return Estimate(mean, max(0.0, widen(low, mean, seeds, clusters)), min(1.0, widen(high, mean, seeds, clusters)), n)


def widen(bound: float, mean: float, *drawn: int) -> float:
    """A bootstrap bound, moved away from the mean: n things drawn anew vary by (n − 1)/n too little."""
    fewest = min((count for count in drawn if count > 1), default=2**31)
    return float(mean + (bound - mean) * np.sqrt(fewest / (fewest - 1)))


def mean_over_seeds(values: Sequence[Sequence[float]]) -> Estimate:
    """The mean over rows of measures such as an NLL: one sequence per seed over the same rows."""
    if not values or not len(values[0]):
        return NOTHING
    table = np.asarray(values, float)
    rng = np.random.default_rng(0)
    seeds, rows = table.shape
    by_seed = rng.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES) / seeds
    by_row = rng.multinomial(rows, np.full(rows, 1 / rows), RESAMPLES) / rows
    low, high = np.percentile(np.einsum("bs,sr,br->b", by_seed, table, by_row, optimize=True), [2.5, 97.5])
    mean = float(table.mean())
    return Estimate(mean, widen(low, mean, seeds, rows), widen(high, mean, seeds, rows), table.size)
