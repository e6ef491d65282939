"""Several rates at once: draws of what they may be together, since they were asked the same questions.

Each rate by itself is drawn from its posterior, which is right where hits are rare. How rates move together is taken
from what each question adds to their deviations: a question that is answered badly after one fine-tune mostly is after
others, too. Fine-tunes are taken to be independent of each other, as a handful of seeds could not tell otherwise.
(The two are joined by a Gaussian copula.)
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd
from scipy import stats

from experiments.statistics.crossed import standard_error
from experiments.statistics.mixed import Posterior
from experiments.statistics.rates import draws as draws_of
from experiments.statistics.rates import posterior, tasks_alike, weights

Key = TypeVar("Key", bound=Hashable)
DRAWS = 2000
# A correlation counts as if so many questions more had been seen that know of none.
SHRUNK_BY = 2.0


def draw_rates(asked: Mapping[Key, tuple[pd.DataFrame, str]], draws: int = DRAWS) -> dict[Key, np.ndarray]:
    """(draws,) of the rate of an outcome in each table, all together; always the same ones. Without unscored tables."""
    found = {key: posterior(table, outcome) for key, (table, outcome) in asked.items()}
    known = {key: each for key, each in found.items() if each is not None}
    if not known:
        return {}
    correlation = correlate([deviations(*asked[key]) for key in known])
    return dict(zip(known, draw_together(list(known.values()), correlation, draws), strict=True))


def deviations(table: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """(seeds or worlds, questions): what each cell adds to the deviation of the rate.

    Every probe set has a rate of its own, and so has every task where tasks count alike.
    """
    hits = (table["outcome"] == outcome).astype(float)
    part = table["task" if tasks_alike(table) else "set"].astype(str)
    left = (hits - hits.groupby(part).transform("mean")) * weights(table)
    cells: pd.DataFrame = left.groupby([draws_of(table), table["cluster"].astype(str)]).sum().unstack().fillna(0.0)
    return cells


def correlate(cells: Sequence[pd.DataFrame]) -> np.ndarray:
    """(rates, rates): how the errors of rates are correlated, by the questions that they share.

    Args:
        cells: of each rate, as `deviations` gives them.
    """
    by_question = pd.DataFrame([each.sum() for each in cells]).fillna(0.0).to_numpy()
    length = np.linalg.norm(by_question, axis=1)
    unit = by_question / np.where(length, length, 1.0)[:, None]
    shares = np.array([_share_of_questions(each.to_numpy()) for each in cells])
    # The inverse of how many questions decide: 1 where a single one does.
    few = (unit**4).sum(1)
    unit *= (shares / np.sqrt(1 + SHRUNK_BY * few))[:, None]
    correlation: np.ndarray = unit @ unit.T
    np.fill_diagonal(correlation, 1.0)
    return correlation


def draw_together(posteriors: Sequence[Posterior], correlation: np.ndarray, draws: int = DRAWS) -> np.ndarray:
    """(posteriors, draws)."""
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    normal = root @ np.random.default_rng(0).standard_normal((len(posteriors), draws))
    chances = stats.norm.cdf(normal)
    return np.stack([each.quantiles(own) for each, own in zip(posteriors, chances, strict=True)])


def _share_of_questions(cells: np.ndarray) -> float:
    """The part of the standard error of a rate that lies between questions."""
    whole, _ = standard_error(cells)
    between, _ = standard_error(cells.sum(0, keepdims=True))
    return between / whole if whole else 0.0
