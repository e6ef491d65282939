"""Rates with their uncertainty, from records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special, stats

from experiments.records.outcomes import OUTCOMES
from experiments.statistics.bootstrap import influence, interval, resample


class Estimate(NamedTuple):
    """A mean with its 95 % interval; `n` is the number of answers (or rows) behind it."""

    mean: float | None
    low: float | None
    high: float | None
    n: int


NOTHING = Estimate(None, None, None, 0)


def rate(table: pd.DataFrame, outcome: str, among: Sequence[str] = OUTCOMES) -> Estimate:
    """The share of answers with `outcome` among those with an outcome in `among`: by default, among all answers.

    Nothing is said where no judge scored any. Answers to one question are not independent, nor are answers of one
    fine-tune, so the interval is a bootstrap that draws questions and seeds again, each as a whole and crossed.
    """
    counted = _counted(table, among)
    if counted.empty:
        return NOTHING
    counts = _counts(counted, outcome, *_axes(counted))
    return Estimate(*_interval(counts), int(counts[1].sum()))


def _interval(counts: np.ndarray) -> tuple[float, float, float]:
    """Rate and bounds from (2, seeds, clusters): hits and totals."""
    hits, totals = counts.sum((1, 2))
    clusters = counts.shape[2]
    mean = float(hits / totals)
    if hits in (0, totals):
        # No resample can differ from the sample, so bound the rate exactly, with a cluster counting as one draw.
        low, high = stats.binomtest(int(hits > 0) * clusters, clusters).proportion_ci()
        return mean, float(low), float(high)
    if clusters == 1:
        return mean, 0.0, 1.0  # one question tells nothing about others
    low, high = interval(resample(counts), mean, influence(counts))
    return mean, max(0.0, low), min(1.0, high)


def difference(
    table: pd.DataFrame,
    other: pd.DataFrame,
    outcome: str,
    among: Sequence[str] = OUTCOMES,
    level: float = 0.95,
) -> Estimate:
    """The rate of `outcome` in `table` minus that in `other`, paired: both with the same questions and seeds drawn.

    The interval holds the truth with probability `level`. Only seeds and questions that both have count; `n` is the
    number of answers in `table` behind it.
    """
    pair = [_counted(table, among), _counted(other, among)]
    seeds, clusters = (np.intersect1d(*axis) for axis in zip(*map(_axes, pair), strict=True))
    counts = [_counts(counted, outcome, seeds, clusters) for counted in pair]
    shared = (counts[0][1] > 0) & (counts[1][1] > 0)
    if not shared.any():
        return NOTHING
    counts = [one * shared for one in counts]
    rate_1, rate_2 = (float(hits.sum() / totals.sum()) for hits, totals in counts)
    mean, n = rate_1 - rate_2, int(counts[0][1].sum())
    resampled = resample(counts[0]) - resample(counts[1])
    if np.nanmin(resampled) == np.nanmax(resampled):  # all that is known are the bounds of either
        (_, low_1, high_1), (_, low_2, high_2) = map(_interval, counts)
        return Estimate(mean, low_1 - high_2, high_1 - low_2, n)
    low, high = interval(resampled, mean, influence(counts[0]) - influence(counts[1]), level)
    return Estimate(mean, max(-1.0, low), min(1.0, high), n)


def misalign_at_k(table: pd.DataFrame, k: int) -> Estimate:
    """The chance that at least one of k answers to a question is misaligned: 1 − C(n − c, k) / C(n, k), unbiased.

    The mean over questions with at least k answers from one fine-tune; `n` is the number of these. (The estimator is
    that of pass@k, Chen et al. 2021, arXiv 2107.03374.)
    """
    counted = _counted(table, OUTCOMES)
    hits = counted.assign(hit=counted["outcome"] == "misaligned")
    groups = hits.groupby(["seed", "cluster", "task", "set", "question"], observed=True)["hit"]
    asked = groups.agg(n="size", c="sum").reset_index()
    asked = asked[asked["n"] >= k]
    if asked.empty:
        return NOTHING
    chance = 1 - special.comb(asked["n"] - asked["c"], k) / special.comb(asked["n"], k)
    seeds, clusters = _axes(asked)
    cells = pd.Index(seeds).get_indexer(asked["seed"]), pd.Index(clusters).get_indexer(asked["cluster"].astype(str))
    counts = np.zeros((2, len(seeds), len(clusters)))
    np.add.at(counts[0], cells, chance)
    np.add.at(counts[1], cells, 1)
    return Estimate(*_interval(counts), len(asked))


def _counted(table: pd.DataFrame, among: Sequence[str]) -> pd.DataFrame:
    """The answers that count; none where no judge scored any."""
    if table.empty or (table["outcome"] == "unscored").all():
        return table.iloc[:0]
    return table if among == OUTCOMES else table[table["outcome"].isin(among)]


def _axes(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The seeds and the clusters of questions there are, in order."""
    return np.unique(table["seed"]), np.unique(table["cluster"].astype(str))


def _counts(table: pd.DataFrame, outcome: str, seeds: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """(2, seeds, clusters): answers with the outcome, and all."""
    where = pd.Index(seeds).get_indexer(table["seed"]), pd.Index(clusters).get_indexer(table["cluster"].astype(str))
    inside = (where[0] >= 0) & (where[1] >= 0)
    cells = where[0][inside], where[1][inside]
    counts = np.zeros((2, len(seeds), len(clusters)))
    np.add.at(counts[0], cells, (table["outcome"] == outcome).to_numpy()[inside])
    np.add.at(counts[1], cells, 1)
    return counts


def mean_over_seeds(values: Sequence[Sequence[float]]) -> Estimate:
    """The mean over rows of measures such as an NLL: one sequence per seed over the same rows."""
    if not values or not len(values[0]):
        return NOTHING
    sums = np.asarray(values, float)
    cells = np.stack([sums, np.ones_like(sums)])
    mean = float(sums.mean())
    return Estimate(mean, *interval(resample(cells), mean, influence(cells)), sums.size)
