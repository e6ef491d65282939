"""Rates over questions of several kinds, such as those of other domains and open ones: `mixed` for each, then joined.

Kinds are no draws from others, as questions of a kind are: a rate is that of these kinds, each with its part of the
answers. Fine-tunes are the same for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from experiments.statistics.fine_tunes import between_seeds, between_shared_seeds
from experiments.statistics.mixed import (
    POINTS,
    SIGMA,
    WEIGHTS,
    Counts,
    Posterior,
    Z,
    centres,
    given_questions,
    given_shared_questions,
    support,
)

# The counts of every kind, all of the same seeds.
Kinds = tuple[Counts, ...]
# So many posteriors are kept: tables ask for many of them several times.
KEPT = 512


@dataclass(frozen=True)
class Pair:
    """What the rates of two arms may be together: the rates of either, and how probable each pair of them is."""

    one: np.ndarray
    other: np.ndarray
    chances: np.ndarray

    def difference(self) -> Posterior:
        """The rate of one less that of the other; of equal ones 0, however a machine has rounded them."""
        return Posterior.of((self.one[:, None] - self.other).round(12), self.chances)

    def reduction(self) -> Posterior:
        """The part of the rate of the other without which one does."""
        return Posterior.of(1 - self.one[:, None] / self.other, self.chances)


@lru_cache(maxsize=KEPT)
def rate_posterior(kinds: Kinds) -> Posterior:
    """The rate of an arm."""
    by_seed = sum_of_seeds(kinds)
    logits = _support(kinds, 0)
    weights = given_questions(kinds[0], logits, len(kinds)).sum(0)
    logits = weighed(logits, weights, kinds[0])
    for place, part in enumerate(parts(_answers(kinds))[1:], 1):
        own = _support(kinds, place)
        theirs = given_questions(kinds[place], own, len(kinds)).sum(0)
        logits, shared = _joined(logits, weighed(own, theirs, kinds[place]), part)
        weights = shared @ np.kron(weights, theirs)
    return Posterior.of(special.expit(logits), between_seeds(by_seed, logits, kinds[0].draws) @ weights)


@lru_cache(maxsize=KEPT)
def pair_posterior(one: Kinds, other: Kinds) -> Pair:
    """The rates of two arms that were asked the same questions of the same kinds."""
    seeds, seeds_2 = sum_of_seeds(one), sum_of_seeds(other)
    logits, logits_2 = _support(one, 0), _support(other, 0)
    weights = given_shared_questions(one[0], other[0], logits, logits_2, len(one))
    logits, logits_2 = weighed(logits, weights.sum(1), one[0]), weighed(logits_2, weights.sum(0), other[0])
    shares = [parts(_answers(kinds))[1:] for kinds in (one, other)]
    for place, (part, part_2) in enumerate(zip(*shares, strict=True), 1):
        own, own_2 = _support(one, place), _support(other, place)
        theirs = given_shared_questions(one[place], other[place], own, own_2, len(one))
        logits, shared = _joined(logits, weighed(own, theirs.sum(1), one[place]), part)
        logits_2, shared_2 = _joined(logits_2, weighed(own_2, theirs.sum(0), other[place]), part_2)
        weights = shared @ np.kron(weights, theirs) @ shared_2.T
    weights = between_shared_seeds(seeds, seeds_2, logits, logits_2, weights, one[0].draws)
    return Pair(special.expit(logits), special.expit(logits_2), weights)


def any_posterior(kinds: Kinds, k: int, questions: Sequence[int]) -> Posterior:
    """The chance that at least one of k answers to a question is a hit, if there are so many of every kind."""
    by_seed = sum_of_seeds(kinds)
    joined = Posterior(np.zeros(1), np.ones(1))
    for place, (kind, part) in enumerate(zip(kinds, parts(questions), strict=True)):
        logits = _support(kinds, place)
        chances = given_questions(kind, logits, len(kinds)) @ between_seeds(by_seed, logits, kind.draws).T
        single = [centres(logits, sigma)[:, None] + sigma * Z for sigma in SIGMA]
        missed = np.stack([special.expit(-logit) ** k @ WEIGHTS for logit in single])
        own = Posterior.of(1 - missed, chances).thinned()
        values = np.add.outer((1 - part) * joined.values, part * own.values)
        joined = Posterior.of(values, np.kron(joined.chances, own.chances)).thinned()
    return joined


def weighed(logits: np.ndarray, weights: np.ndarray, counts: Counts) -> np.ndarray:
    """Logits of the rate over answers, from those over questions, each of which counts alike in `mixed`.

    They are the same where all questions have as many answers. Where some have fewer, as among coherent answers only,
    logits move by as much as the sample's rate does, and lie apart as if there were fewer questions.
    """
    hits, answers = counts.by_question
    alike, total = float((hits / answers).mean()), answers.sum()
    shares = answers / total
    by_answer, by_question = (special.logit((total * rate + 0.5) / (total + 1)) for rate in (hits.sum() / total, alike))
    middle = float(np.interp(0.5, *np.stack([np.cumsum(weights) / weights.sum(), logits])))
    apart = np.sqrt(len(shares) * (shares**2).sum())
    moved: np.ndarray = middle + by_answer - by_question + apart * (logits - middle)
    return moved


@lru_cache(maxsize=KEPT)
def _support(kinds: Kinds, place: int) -> np.ndarray:
    """Logits between which the rate of one kind lies."""
    return support(kinds[place], sum_of_seeds(kinds), len(kinds))


def sum_of_seeds(kinds: Kinds) -> np.ndarray:
    """(2, seeds): hits and answers of those seeds that have any."""
    by_seed = np.sum([kind.by_seed for kind in kinds], axis=0)
    asked: np.ndarray = by_seed[:, by_seed[1] > 0]
    return asked


def parts(sizes: Sequence[float]) -> np.ndarray:
    """What part each has of all up to itself."""
    return np.asarray(sizes / np.cumsum(sizes))


def _answers(kinds: Kinds) -> list[float]:
    return [float(kind.answers.sum()) for kind in kinds]


def _joined(logits: np.ndarray, logits_2: np.ndarray, part: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits of rates of which a part is of a second kind, and how each pair of rates is shared between them.

    Returns:
        (POINTS,), and (POINTS, pairs) with pairs in the order of `np.kron`.
    """
    rates = (1 - part) * special.expit(logits)[:, None] + part * special.expit(logits_2)
    where = special.logit(rates.ravel())
    joined = np.linspace(where.min(), where.max(), POINTS)
    near = 1 - np.abs(joined[:, None] - where) / (joined[1] - joined[0])
    return joined, np.maximum(near, 0.0)
