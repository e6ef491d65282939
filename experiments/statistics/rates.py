"""Rates with their uncertainty, from tables of scored answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import reduce

import numpy as np
import pandas as pd
from scipy import special

from experiments.records.names import BENIGN, NARROW
from experiments.records.outcomes import OUTCOMES
from experiments.statistics import crossed
from experiments.statistics.estimates import (
    NOTHING,
    Contrast,
    Estimate,
    any_of,
    contrast_of,
    mean_contrast_of,
    mean_of,
    rate_of,
    reduction_of,
)
from experiments.statistics.fine_tunes import SEEDS, WORLDS, Draws
from experiments.statistics.kinds import Kinds, rate_posterior
from experiments.statistics.macro import mean_posterior
from experiments.statistics.mixed import Counts, Posterior


def rate(table: pd.DataFrame, outcome: str, among: Sequence[str] = OUTCOMES) -> Estimate:
    """The share of answers with `outcome` among those with an outcome in `among`: by default, among all answers.

    Of answers to what benign tasks are about, the mean of the tasks' shares. Nothing is said where no judge scored any.
    Answers to one question are not independent, nor are answers of one fine-tune: the interval is that of
    `statistics.mixed`.
    """
    counted = _counted(table, outcome, among)
    if counted.empty:
        return NOTHING
    return (mean_of if tasks_alike(counted) else rate_of)(_kinds(counted)[0])


def posterior(table: pd.DataFrame, outcome: str, among: Sequence[str] = OUTCOMES) -> Posterior | None:
    """What a `rate` may be; None where there is none."""
    counted = _counted(table, outcome, among)
    if counted.empty:
        return None
    return (mean_posterior if tasks_alike(counted) else rate_posterior)(_kinds(counted)[0])


def aligned(tables: Sequence[pd.DataFrame], outcome: str) -> list[Kinds]:
    """The counts of an outcome in each table, as far as all have the kinds of questions, seeds and questions.

    None where one of them has no scored answer.
    """
    counted = [_counted(table, outcome, OUTCOMES) for table in tables]
    return [] if any(table.empty for table in counted) else _kinds(*counted)


def contrast(table: pd.DataFrame, other: pd.DataFrame, outcome: str, among: Sequence[str] = OUTCOMES) -> Contrast:
    """The rate of `outcome` in `table` minus that in `other`, paired by question and seed.

    Only seeds and questions that both have count; `n` is the number of answers in `table` behind it.
    """
    sides = _counted(table, outcome, among), _counted(other, outcome, among)
    return (mean_contrast_of if all(map(tasks_alike, sides)) else contrast_of)(*_kinds(*sides))


def reduction(table: pd.DataFrame, other: pd.DataFrame, outcome: str, among: Sequence[str] = OUTCOMES) -> Estimate:
    """The part of the rate of `outcome` in `other` without which `table` does: 1 less their ratio, paired.

    Negative where there is more of it. Nothing is said where `other` has none.
    """
    one, two = _kinds(_counted(table, outcome, among), _counted(other, outcome, among))
    return reduction_of(one, two)


def difference(table: pd.DataFrame, other: pd.DataFrame, outcome: str, among: Sequence[str] = OUTCOMES) -> Estimate:
    """The difference of a `contrast`."""
    return contrast(table, other, outcome, among).difference


def misalign_at_k(table: pd.DataFrame, k: int) -> Estimate:
    """The chance that at least one of k answers to a question is misaligned: 1 − C(n − c, k) / C(n, k), unbiased.

    The mean over questions with at least k answers from one fine-tune; `n` is the number of these. (The estimator is
    that of pass@k, Chen et al. 2021, arXiv 2107.03374.)
    """
    counted = _counted(table, "misaligned", OUTCOMES)
    world = ["world"] if "world" in counted else []
    groups = counted.groupby([*world, "seed", "cluster", "task", "set", "question"], observed=True)
    asked = groups[["hits", "answers"]].sum().reset_index()
    asked = asked[asked["answers"] >= k]
    if asked.empty:
        return NOTHING
    missed = special.comb(asked["answers"] - asked["hits"], k) / special.comb(asked["answers"], k)
    chances = [part["chance"] for part in _by_kind(asked.assign(chance=1 - missed)).values()]
    return any_of(_kinds(asked)[0], k, [chance.mean() for chance in chances], [len(chance) for chance in chances])


def draws(table: pd.DataFrame) -> pd.Series:
    """Of which fine-tune each answer is, among draws of others: its seed, or the world where the table says one."""
    return table["world"] if "world" in table else table["seed"]


def kind_of_draws(table: pd.DataFrame) -> Draws:
    """How far these draws may lie apart."""
    return WORLDS if "world" in table else SEEDS


def tasks_alike(table: pd.DataFrame) -> bool:
    """Whether each task counts alike: of what benign ones are about, that with most questions is not the benign one."""
    return not table.empty and bool((table["set"] == BENIGN).all())


def weights(table: pd.DataFrame) -> np.ndarray:
    """What part of the rate each answer is. They sum to 1."""
    if not tasks_alike(table):
        return np.full(len(table), 1 / len(table))
    tasks = table["task"].astype(str)
    sizes = tasks.value_counts()
    return 1 / (tasks.map(sizes).to_numpy(float) * len(sizes))


def _counted(table: pd.DataFrame, outcome: str, among: Sequence[str]) -> pd.DataFrame:
    """The answers that count, with 1 in `hits` for those with the outcome; none where no judge scored any."""
    if table.empty or (table["outcome"] == "unscored").all():
        return pd.DataFrame(columns=["task", "seed", "set", "question", "cluster", "hits", "answers"])
    if among != OUTCOMES:
        table = table[table["outcome"].isin(among)]
    return table.assign(hits=(table["outcome"] == outcome).to_numpy(int), answers=1)


def _kinds(*tables: pd.DataFrame) -> list[Kinds]:
    """The counts of each table by kind of question, seed and cluster, as far as all tables have them.

    A set is a kind, and a set about a task itself is another kind for every task. Tables of different sets, such as
    those of a pair of people, are of one kind.
    """
    split = [_by_kind(table) for table in tables]
    common = [kind for kind in split[0] if all(kind in kinds for kinds in split)]
    if not common:
        common, split = [("", "")], [{("", ""): table} for table in tables]
    seeds = _shared([draws(table) for table in tables])
    found: list[list[Counts]] = [[] for _ in tables]
    for kind in common:
        clusters = _shared([kinds[kind]["cluster"].astype(str) for kinds in split])
        for kinds, counts in zip(split, found, strict=True):
            counts.append(_counts(kinds[kind], seeds, clusters))
    return [tuple(counts) for counts in found]


def _by_kind(table: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """The parts of a table by set and, where a set is about the task itself, task."""
    parts: dict[tuple[str, str], list[pd.DataFrame]] = defaultdict(list)
    for (name, task), part in table.groupby(["set", "task"], observed=True):
        parts[str(name), str(task) if name in (NARROW, BENIGN) else ""].append(part)
    return {kind: pd.concat(members) for kind, members in parts.items()}


def _shared(columns: Sequence[pd.Series]) -> np.ndarray:
    """What occurs in all of them, in order."""
    return reduce(np.intersect1d, columns, columns[0].unique())


def _counts(table: pd.DataFrame, seeds: np.ndarray, clusters: np.ndarray) -> Counts:
    """Hits and answers of these seeds to these clusters."""
    where = pd.Index(seeds).get_indexer(draws(table)), pd.Index(clusters).get_indexer(table["cluster"].astype(str))
    inside = (where[0] >= 0) & (where[1] >= 0)
    cells = np.zeros((2, len(seeds), len(clusters)))
    for sums, column in zip(cells, ("hits", "answers"), strict=True):
        np.add.at(sums, (where[0][inside], where[1][inside]), table[column].to_numpy()[inside])
    hits, answers = cells
    return Counts(hits, answers, kind_of_draws(table))


def mean_over_seeds(values: Sequence[Sequence[float]]) -> Estimate:
    """The mean over rows of measures such as an NLL: one sequence per seed over the same rows."""
    if not values or not len(values[0]):
        return NOTHING
    sums = np.asarray(values, float)
    return Estimate(*crossed.interval(np.stack([sums, np.ones_like(sums)])), sums.size)
