"""The rate of answers to one question, after fine-tunes that differ.

The mixed model of `statistics.mixed` speaks of other questions, of which one alone says next to nothing. Here the
question, with all ways in which it was asked, is this very one:

    rate after a fine-tune ~ beta, of mean r and, on the logit, a standard deviation of τ

with Jeffreys' prior on r and a half-normal one on τ. After one fine-tune, which says nothing of others, it is Jeffreys'
interval for the answers of that one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import special, stats

from experiments.statistics.estimates import NOTHING, Estimate
from experiments.statistics.fine_tunes import SEEDS
from experiments.statistics.mixed import Posterior

# Logits of r, beyond those that answers alone leave likely.
POINTS, BEYOND = 241, 4.0


def question_rate(hits: Sequence[int] | np.ndarray, answers: Sequence[int] | np.ndarray) -> Estimate:
    """The share of hits among the answers to one question, with an interval for other fine-tunes.

    Args:
        hits: of each fine-tune.
        answers: of each fine-tune, in the same order; those without any do not count.
    """
    counts = sorted((int(hit), int(all_)) for hit, all_ in zip(hits, answers, strict=True) if all_)
    return _rate(tuple(counts)) if counts else NOTHING


@lru_cache(maxsize=100_000)  # many questions have the same few counts
def _rate(counts: tuple[tuple[int, int], ...]) -> Estimate:
    hits, answers = np.array(counts, float).T
    total, asked = hits.sum(), answers.sum()
    jeffreys = stats.beta(total + 0.5, asked - total + 0.5)
    if len(counts) == 1:
        low, high = map(float, jeffreys.interval(0.95))
    else:
        near = special.logit(np.clip(jeffreys.interval(0.9998), 1e-12, 1 - 1e-12))
        low, high = _between(hits, answers, np.linspace(near[0] - BEYOND, near[1] + BEYOND, POINTS)).interval()
    mean = float(total / asked)
    return Estimate(mean, 0.0 if total == 0 else min(low, mean), 1.0 if total == asked else max(high, mean), int(asked))


def _between(hits: np.ndarray, answers: np.ndarray, logits: np.ndarray) -> Posterior:
    """The mean rate of fine-tunes of which these are draws."""
    rate, miss = special.expit(logits), special.expit(-logits)
    size = 1 / (SEEDS.grid[:, None] ** 2 * rate * miss)
    a, b = (size * rate)[..., None], (size * miss)[..., None]
    logs = (special.betaln(a + hits, b + answers - hits) - special.betaln(a, b)).sum(-1) + SEEDS.prior[:, None]
    logs += (np.log(rate) + np.log(miss)) / 2  # Jeffreys' prior, as a density of the logit
    return Posterior.of(rate, np.exp(logs - logs.max()).sum(0))
