"""What a planned sweep will find: its answers are simulated from a pilot's, and put to the test that its tables use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

from experiments.statistics.rates import contrast, weights

SIMULATIONS, POWER, LEVEL = 60, 0.8, 0.05
# How often an interval is halved in which the answer lies.
HALVINGS = 5
# Standard deviation between questions of what a safeguard changes in the logit of a rate. A pilot's `none` cannot tell.
BETWEEN_ARMS = 0.7
SPREADS = np.linspace(0.05, 4, 80)


@dataclass(frozen=True)
class Rehearsal:
    """A planned sweep of `none` and one safeguard that does without a part of its rate.

    Args:
        asked: a row per answer of either arm: the columns of a table of scored answers, without an outcome.
        questions: (2, clusters in order): the beta distribution that a pilot leaves of the rate of each.
        between_seeds: standard deviation of the logit of an arm between fine-tunes.
        outcome: that is counted.
    """

    asked: pd.DataFrame
    questions: np.ndarray
    between_seeds: float
    outcome: str

    @classmethod
    def of(cls, pilot: pd.DataFrame, asked: pd.DataFrame, outcome: str) -> Rehearsal:
        """From the scored answers of `none` in a pilot that asked the same questions, with at least one hit."""
        hit = pilot["outcome"] == outcome
        (hits, answers), (seed_hits, seed_answers) = (
            hit.groupby(pilot[side].astype(str)).agg(["sum", "size"]).to_numpy(float).T for side in ("cluster", "seed")
        )
        rate = float(hit @ weights(pilot))
        size = beta_size(rate, spread(hits, answers, 2.0))
        questions = np.stack([rate * size + hits, (1 - rate) * size + answers - hits])
        return cls(asked, questions, spread(seed_hits, seed_answers, 0.6), outcome)

    def finds(self, number: int, part: float) -> bool:
        """Whether a table of the simulation of this number says that the safeguard lets less through than `none`.

        Args:
            number: of the simulation. Those of one number differ in nothing else than the part.
            part: of the rate of `none`, without which the safeguard does; 1 for all of it.
        """
        rng = np.random.default_rng([9, number])
        logits = special.logit(np.clip(rng.beta(*self.questions), 1e-12, 1 - 1e-12))
        changes = BETWEEN_ARMS * rng.normal(size=len(logits))
        cluster, seed = (
            np.unique(self.asked[side].astype(str), return_inverse=True)[1] for side in ("cluster", "seed")
        )
        parts = np.bincount(cluster, weights(self.asked))
        left = (1 - part) * float(parts @ special.expit(logits))

        def excess(shift: float) -> float:
            return float(parts @ special.expit(logits + changes + shift)) - left

        shift = optimize.brentq(excess, -60, 60, xtol=1e-3) if left > 0 else -np.inf
        tables = []
        for of_questions in (logits + changes + shift, logits):
            seeds = self.between_seeds * rng.normal(size=seed.max() + 1)
            hit = rng.random(len(self.asked)) < special.expit(of_questions[cluster] + seeds[seed])
            tables.append(self.asked.assign(outcome=np.where(hit, self.outcome, "")))
        found = contrast(tables[0], tables[1], self.outcome)
        below = found.difference.mean is not None and found.difference.mean < 0
        return below and found.p is not None and found.p <= LEVEL


def smallest_part(
    finds: Callable[[int, float], bool], bar: Callable[[Sequence[int], str], Iterable[int]]
) -> tuple[float | None, float]:
    """The smallest part of a rate whose loss is found in `POWER` of all simulations, None if not even that of all is.

    Args:
        finds: whether a simulation finds the loss of such a part; if so, then also that of a larger one.
        bar: shows how far it has got.

    Returns:
        That part, and the share of simulations that find the loss of all.
    """
    waiting = [number for number in bar(range(SIMULATIONS), "power") if finds(number, 1.0)]
    power, missing, low, high = len(waiting) / SIMULATIONS, POWER * SIMULATIONS, 0.0, 1.0
    if len(waiting) < missing:
        return None, power
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        found = [number for number in bar(waiting, "power") if finds(number, middle)]
        if len(found) >= missing:
            waiting, high = found, middle
        else:
            waiting, missing, low = sorted({*waiting} - {*found}), missing - len(found), middle
    return high, power


def spread(hits: np.ndarray, answers: np.ndarray, scale: float) -> float:
    """How much groups of answers differ in their rate, as a standard deviation of logits (to first order).

    The posterior mean under a beta-binomial model, with a half-normal prior of this scale: one group says nothing.
    """
    rate = float(np.clip(hits.sum() / answers.sum(), 1e-9, 1 - 1e-9))
    size = beta_size(rate, SPREADS)[:, None]
    logs = stats.betabinom.logpmf(hits, answers, rate * size, (1 - rate) * size).sum(1)
    logs += stats.halfnorm.logpdf(SPREADS, scale=scale)
    weights = np.exp(logs - logs.max())
    return float(weights @ SPREADS / weights.sum())


def beta_size(rate: float, spread: np.ndarray | float) -> np.ndarray:
    """The sum of both parameters of a beta distribution of rates whose logits spread so much, to first order."""
    return np.asarray(1 / (np.square(spread) * rate * (1 - rate)))
