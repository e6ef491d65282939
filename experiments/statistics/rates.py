"""Rates with their uncertainty, from tables of scored answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special

from experiments.records.outcomes import OUTCOMES
from experiments.statistics import crossed
from experiments.statistics.estimates import NOTHING, Contrast, Estimate, any_of, contrast_of, rate_of, reduction_of
from experiments.statistics.mixed import Counts, Posterior, rate_posterior


def rate(table: pd.DataFrame, outcome: str, among: Sequence[str] = OUTCOMES) -> Estimate:
    """The share of answers with `outcome` among those with an outcome in `among`: by default, among all answers.

    Nothing is said where no judge scored any. Answers to one question are not independent, nor are answers of one
    fine-tune: the interval is that of `statistics.mixed`.
    """
    counted = _counted(table, among)
    if counted.empty:
        return NOTHING
    return rate_of(_counts(counted, outcome, *_axes(counted)))


def posterior(table: pd.DataFrame, outcome: str, among: Sequence[str] = OUTCOMES) -> Posterior | None:
    """What a `rate` may be; None where there is none."""
    counted = _counted(table, among)
    return None if counted.empty else rate_posterior(_counts(counted, outcome, *_axes(counted)))


def contrast(table: pd.DataFrame, other: pd.DataFrame, outcome: str, among: Sequence[str] = OUTCOMES) -> Contrast:
    """The rate of `outcome` in `table` minus that in `other`, paired by question.

    Only seeds and questions that both have count; `n` is the number of answers in `table` behind it.
    """
    return contrast_of(*_paired(table, other, outcome, among))


def reduction(table: pd.DataFrame, other: pd.DataFrame, outcome: str, among: Sequence[str] = OUTCOMES) -> Estimate:
    """The part of the rate of `outcome` in `other` without which `table` does: 1 less their ratio, paired.

    Negative where there is more of it. Nothing is said where `other` has none.
    """
    return reduction_of(*_paired(table, other, outcome, among))


def difference(table: pd.DataFrame, other: pd.DataFrame, outcome: str, among: Sequence[str] = OUTCOMES) -> Estimate:
    """The difference of a `contrast`."""
    return contrast(table, other, outcome, among).difference


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
    counts = Counts(*(_cells(asked, seeds, clusters, asked[column].to_numpy()) for column in ("c", "n")))
    return any_of(counts, k, float(chance.mean()), len(asked))


def _paired(table: pd.DataFrame, other: pd.DataFrame, outcome: str, among: Sequence[str]) -> tuple[Counts, Counts]:
    """The counts of both on the seeds and questions that both have."""
    pair = [_counted(table, among), _counted(other, among)]
    seeds, clusters = (np.intersect1d(*axis) for axis in zip(*map(_axes, pair), strict=True))
    one, two = (_counts(counted, outcome, seeds, clusters) for counted in pair)
    return one, two


def _counted(table: pd.DataFrame, among: Sequence[str]) -> pd.DataFrame:
    """The answers that count; none where no judge scored any."""
    if table.empty or (table["outcome"] == "unscored").all():
        return table.iloc[:0]
    return table if among == OUTCOMES else table[table["outcome"].isin(among)]


def _axes(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The seeds and the clusters of questions there are, in order."""
    return np.unique(table["seed"]), np.unique(table["cluster"].astype(str))


def _counts(table: pd.DataFrame, outcome: str, seeds: np.ndarray, clusters: np.ndarray) -> Counts:
    """Answers with the outcome, and all, of these seeds to these clusters."""
    hit = (table["outcome"] == outcome).to_numpy()
    return Counts(*(_cells(table, seeds, clusters, values) for values in (hit, np.ones(len(table)))))


def _cells(table: pd.DataFrame, seeds: np.ndarray, clusters: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(seeds, clusters): sums of values."""
    where = pd.Index(seeds).get_indexer(table["seed"]), pd.Index(clusters).get_indexer(table["cluster"].astype(str))
    inside = (where[0] >= 0) & (where[1] >= 0)
    cells = np.zeros((len(seeds), len(clusters)))
    np.add.at(cells, (where[0][inside], where[1][inside]), values[inside])
    return cells


def mean_over_seeds(values: Sequence[Sequence[float]]) -> Estimate:
    """The mean over rows of measures such as an NLL: one sequence per seed over the same rows."""
    if not values or not len(values[0]):
        return NOTHING
    sums = np.asarray(values, float)
    return Estimate(*crossed.interval(np.stack([sums, np.ones_like(sums)])), sums.size)
