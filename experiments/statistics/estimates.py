"""Estimates from counts: a number, its 95 % interval, and which of several differences are there at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.statistics.mixed import Counts, Posterior, any_posterior, pair_posterior, rate_posterior


class Estimate(NamedTuple):
    """A mean with its 95 % interval; `n` is the number of answers (or rows) behind it."""

    mean: float | None
    low: float | None
    high: float | None
    n: int


class Contrast(NamedTuple):
    """A difference of two rates, and the two-sided probability of one so large if there were none."""

    difference: Estimate
    p: float | None


NOTHING = Estimate(None, None, None, 0)


def rate_of(counts: Counts) -> Estimate:
    """The share of hits. The mean is that of the sample; the interval is for other questions and seeds."""
    hits, answers = counts.hits.sum(), counts.answers.sum()
    return _estimate(float(hits / answers), rate_posterior(counts), int(answers), counts)


def any_of(counts: Counts, k: int, mean: float, n: int) -> Estimate:
    """The chance of at least one hit in k answers to a question, whose `mean` over `n` questions is known."""
    return _estimate(mean, any_posterior(counts, k), n, counts)


def contrast_of(one: Counts, other: Counts) -> Contrast:
    """The rate of one less that of another, paired by question. Only seeds and questions that both have count."""
    if (shared := _shared(one, other)) is None:
        return Contrast(NOTHING, None)
    one, other = shared
    posterior = pair_posterior(one, other).difference()
    mean = float(one.hits.sum() / one.answers.sum() - other.hits.sum() / other.answers.sum())
    low, high = posterior.interval()
    below = posterior.below(0.0)
    return Contrast(Estimate(mean, min(low, mean), max(high, mean), int(one.answers.sum())), 2 * min(below, 1 - below))


def reduction_of(one: Counts, other: Counts) -> Estimate:
    """The part of the rate of the other that one does without; nothing where the other has no hits."""
    if (shared := _shared(one, other)) is None or not shared[1].hits.any():
        return NOTHING
    one, other = shared
    mean = float(1 - one.hits.sum() / one.answers.sum() / (other.hits.sum() / other.answers.sum()))
    low, high = pair_posterior(one, other).reduction().interval()
    high = 1.0 if not one.hits.any() else max(high, mean)
    return Estimate(mean, min(low, mean), high, int(one.answers.sum()))


def holm(p_values: Sequence[float], level: float = 0.05) -> list[bool]:
    """Which of several differences are found at a family-wise error of `level` (Holm 1979, Scand. J. Stat. 6:65)."""
    found = [False] * len(p_values)
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[place] > level / (len(p_values) - rank):
            break
        found[place] = True
    return found


def _shared(one: Counts, other: Counts) -> tuple[Counts, Counts] | None:
    """The counts of both where both have answers."""
    shared = (one.answers > 0) & (other.answers > 0)
    if not shared.any():
        return None
    first, second = (Counts(each.hits * shared, each.answers * shared).asked() for each in (one, other))
    return first, second


def _estimate(mean: float, posterior: Posterior, n: int, counts: Counts) -> Estimate:
    """Where hits are all or none, the interval reaches to the end of the scale."""
    low, high = posterior.interval()
    hits, answers = counts.hits.sum(), counts.answers.sum()
    return Estimate(mean, 0.0 if hits == 0 else min(low, mean), 1.0 if hits == answers else max(high, mean), n)
