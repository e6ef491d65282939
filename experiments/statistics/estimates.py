"""Estimates from counts: a number, its 95 % interval, and which of several differences are there at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from experiments.statistics.kinds import Kinds, any_posterior, pair_posterior, rate_posterior
from experiments.statistics.macro import mean_difference_posterior, mean_posterior, mean_rate
from experiments.statistics.mixed import Posterior


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


def rate_of(kinds: Kinds) -> Estimate:
    """The share of hits. The mean is that of the sample; the interval is for other questions and seeds."""
    hits, answers = _sums(kinds)
    return _estimate(hits / answers, rate_posterior(kinds), int(answers), kinds)


def mean_of(tasks: Kinds) -> Estimate:
    """The mean of the rates of tasks, each counting alike; the interval is for other questions and seeds of these."""
    _, answers = _sums(tasks)
    return _estimate(mean_rate(tasks), mean_posterior(tasks), int(answers), tasks)


def any_of(kinds: Kinds, k: int, means: Sequence[float], questions: Sequence[int]) -> Estimate:
    """The chance of at least one hit in k answers to a question; for every kind, its mean and over how many."""
    mean = float(np.average(means, weights=questions))
    return _estimate(mean, any_posterior(kinds, k, questions), sum(questions), kinds)


def contrast_of(one: Kinds, other: Kinds) -> Contrast:
    """The rate of one less that of another, paired by question and seed. Only what both have counts."""
    one, other = _shared(one, other)
    if not one:
        return Contrast(NOTHING, None)
    (hits, answers), (hits_2, answers_2) = _sums(one), _sums(other)
    return _contrast(hits / answers - hits_2 / answers_2, pair_posterior(one, other).difference(), int(answers))


def mean_contrast_of(one: Kinds, other: Kinds) -> Contrast:
    """The mean of such differences over tasks, each counting alike. Only tasks of which both have something count."""
    one, other = _shared(one, other)
    if not one:
        return Contrast(NOTHING, None)
    _, answers = _sums(one)
    return _contrast(mean_rate(one) - mean_rate(other), mean_difference_posterior(one, other), int(answers))


def difference_posterior(one: Kinds, other: Kinds) -> Posterior | None:
    """What the difference of a `contrast_of` may be; None where nothing is shared."""
    one, other = _shared(one, other)
    return pair_posterior(one, other).difference() if one else None


def mean_difference(one: Kinds, other: Kinds) -> Posterior | None:
    """What the difference of a `mean_contrast_of` may be; None where nothing is shared."""
    one, other = _shared(one, other)
    return mean_difference_posterior(one, other) if one else None


def rate_in_sample(kinds: Kinds) -> float:
    """The share of hits among these answers."""
    hits, answers = _sums(kinds)
    return hits / answers


def reduction_of(one: Kinds, other: Kinds) -> Estimate:
    """The part of the rate of the other without which one does; nothing where the other has no hits."""
    one, other = _shared(one, other)
    if not one or not _sums(other)[0]:
        return NOTHING
    (hits, answers), (hits_2, answers_2) = _sums(one), _sums(other)
    mean = 1 - hits / answers / (hits_2 / answers_2)
    low, high = pair_posterior(one, other).reduction().interval()
    return Estimate(mean, min(low, mean), max(high, mean) if hits else 1.0, int(answers))


def mean_estimate(estimates: Sequence[Estimate]) -> Estimate:
    """The mean of several, each counting alike; those of nothing do not count.

    Its bounds are the means of theirs: as if their errors went together. Where they share questions and seeds they do
    so in part; the interval is wider than it need be, not narrower.
    """
    known = [each for each in estimates if each.mean is not None]
    if not known:
        return NOTHING
    mean, low, high, n = np.array(known, float).T
    return Estimate(float(mean.mean()), float(low.mean()), float(high.mean()), int(n.sum()))


def holm(p_values: Sequence[float], level: float = 0.05) -> list[bool]:
    """Which of several differences are found at a family-wise error of `level` (Holm 1979, Scand. J. Stat. 6:65)."""
    found = [False] * len(p_values)
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[place] > level / (len(p_values) - rank):
            break
        found[place] = True
    return found


def _sums(kinds: Kinds) -> tuple[float, float]:
    """Hits and answers."""
    return sum(float(kind.hits.sum()) for kind in kinds), sum(float(kind.answers.sum()) for kind in kinds)


def _shared(one: Kinds, other: Kinds) -> tuple[Kinds, Kinds]:
    """The counts of both where both have answers."""
    pairs = []
    for kind, kind_2 in zip(one, other, strict=True):
        shared = (kind.answers > 0) & (kind_2.answers > 0)
        asked = shared.any(0)
        if asked.any():
            pairs.append(
                [
                    replace(x, hits=(x.hits * shared)[:, asked], answers=(x.answers * shared)[:, asked])
                    for x in (kind, kind_2)
                ]
            )
    return tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)


def _contrast(mean: float, posterior: Posterior, n: int) -> Contrast:
    low, high = posterior.interval()
    below = posterior.below(0.0)
    return Contrast(Estimate(mean, min(low, mean), max(high, mean), n), 2 * min(below, 1 - below))


def _estimate(mean: float, posterior: Posterior, n: int, kinds: Kinds) -> Estimate:
    """Where hits are all or none, the interval reaches to the end of the scale."""
    low, high = posterior.interval()
    hits, answers = _sums(kinds)
    return Estimate(mean, 0.0 if hits == 0 else min(low, mean), 1.0 if hits == answers else max(high, mean), n)
