"""Rates of answers to questions of one kind that differ, after fine-tunes that differ: a mixed logistic model on grids.

    logit P(hit) = µ + σ z + τ u          z of the question and u of the fine-tune are standard normal and crossed

A rate is that over all questions and fine-tunes of which those in the records are draws. Two arms that were asked the
same questions share z, but for a part of standard deviation ω between the two. Here are the questions; `fine_tunes` has
what is beside them.

Priors: Jeffreys' on a rate (several kinds share it, so that they weigh no more than one), half-normal ones on σ (scale
2) and ω (1). They decide where there are hardly any hits, so that no interval collapses there, and give way to the data
where there are some.
`python -m experiments.coverage` simulates how often the intervals hold the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from scipy import special, stats

from experiments.statistics.fine_tunes import SEEDS, Draws, between_seeds

SIGMA = np.array([0.4, 0.8, 1.2, 1.6, 2.1, 2.8, 3.8])
OMEGA = np.array([0.2, 0.7, 1.5])
SCALES = {"sigma": 2.0, "omega": 1.0}
# Logits of single questions at which their likelihoods are computed; in between they are interpolated.
LATENT = np.linspace(-24, 24, 481)
# A question whose answers tell its logit better than this grid resolves counts as if they told it so well.
MOST_INFORMATION = 25.0
# Standard normal draws, and how probable each is.
Z = np.linspace(-3.5, 3.5, 51)
WEIGHTS = stats.norm.pdf(Z) / stats.norm.pdf(Z).sum()
# Logits of rates: a coarse grid to find where they may be, and how many are looked at there.
COARSE, POINTS, LEFT_OUT = np.linspace(-18, 18, 145), 31, 1e-4


@dataclass(frozen=True)
class Posterior:
    """What a number may be, in order, and how probable each value is."""

    values: np.ndarray
    chances: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, weights: np.ndarray) -> Posterior:
        """From values in any order and shape, with weights that need not sum to 1."""
        order = np.argsort(values, axis=None)
        return cls(values.ravel()[order], weights.ravel()[order] / weights.sum())

    @cached_property
    def _cumulated(self) -> np.ndarray:
        cumulated: np.ndarray = np.cumsum(self.chances) - self.chances / 2
        return cumulated

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The bounds beyond each of which lies half of what is left."""
        low, high = self.quantiles(np.array([(1 - level) / 2, (1 + level) / 2]))
        return float(low), float(high)

    def quantiles(self, chances: np.ndarray) -> np.ndarray:
        """The values that it is below with these probabilities."""
        return np.asarray(np.interp(chances, self._cumulated, self.values))

    def thinned(self, points: int = 101) -> Posterior:
        """As so many values, all as probable."""
        return Posterior(self.quantiles((np.arange(points) + 0.5) / points), np.full(points, 1 / points))

    def below(self, value: float) -> float:
        """The probability of less than a value, and half of that of the value itself."""
        first, last = np.searchsorted(self.values, value, "left"), np.searchsorted(self.values, value, "right")
        if first < last:  # as 0 of the difference between equal records
            return float(self.chances[:first].sum() + self.chances[first:last].sum() / 2)
        return float(np.interp(value, self.values, self._cumulated))


@dataclass(frozen=True, eq=False)
class Counts:
    """(seeds, questions): hits, and answers. Questions that were never asked have none. Known by what they hold.

    `draws` says what the seeds are: other worlds differ by more.
    """

    hits: np.ndarray
    answers: np.ndarray
    draws: Draws = SEEDS

    @cached_property
    def _held(self) -> tuple[tuple[int, ...], bytes, bytes, Draws]:
        return self.hits.shape, self.hits.tobytes(), self.answers.tobytes(), self.draws

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counts) and self._held == other._held

    def __hash__(self) -> int:
        return hash(self._held)

    @cached_property
    def by_question(self) -> np.ndarray:
        """(2, questions)."""
        return np.stack([self.hits.sum(0), self.answers.sum(0)])

    @cached_property
    def by_seed(self) -> np.ndarray:
        """(2, seeds)."""
        return np.stack([self.hits.sum(1), self.answers.sum(1)])


def support(counts: Counts, by_seed: np.ndarray, kinds: int = 1) -> np.ndarray:
    """(POINTS,): logits between which the rate of an arm lies almost surely."""
    weights = given_questions(counts, COARSE, kinds).sum(0) @ between_seeds(by_seed, COARSE, counts.draws).T
    low, high = Posterior.of(COARSE, weights).interval(1 - 2 * LEFT_OUT)
    return np.linspace(low, high, POINTS)


def given_shared_questions(
    one: Counts, other: Counts, first: np.ndarray, second: np.ndarray, kinds: int = 1
) -> np.ndarray:
    """(logits of one, logits of the other): the posterior of their rates if fine-tunes were alike."""
    both = np.concatenate([one.by_question, other.by_question])
    (hits, answers, hits_2, answers_2), times = np.unique(both, axis=1, return_counts=True)
    known, known_2 = _likelihoods(hits, answers), _likelihoods(hits_2, answers_2)
    logs = np.empty((len(SIGMA), len(OMEGA), POINTS, POINTS))
    for j, omega in enumerate(OMEGA):
        blurred, blurred_2 = (likelihood @ _blur(omega) for likelihood in (known, known_2))
        for i, sigma in enumerate(SIGMA):
            spread = float(np.hypot(sigma, omega / np.sqrt(2)))
            mine = _at(blurred, centres(first, spread)[:, None] + sigma * Z) * WEIGHTS
            theirs = _at(blurred_2, centres(second, spread)[:, None] + sigma * Z)
            joint = np.log(np.maximum(mine @ theirs.transpose(0, 2, 1), 1e-300))
            logs[i, j] = np.tensordot(times, joint, 1)
    logs += (log_prior(SIGMA, SCALES["sigma"])[:, None] + log_prior(OMEGA, SCALES["omega"]))[:, :, None, None]
    logs += (jeffreys(first)[:, None] + jeffreys(second)) / kinds
    weights: np.ndarray = np.exp(logs - logs.max()).sum((0, 1))
    return weights


def given_questions(counts: Counts, logits: np.ndarray, kinds: int = 1) -> np.ndarray:
    """(SIGMA, logits): the posterior of a rate if fine-tunes were alike."""
    (hits, answers), times = np.unique(counts.by_question, axis=1, return_counts=True)
    known = _likelihoods(hits, answers)
    mixed = [_at(known, centres(logits, sigma)[:, None] + sigma * Z) @ WEIGHTS for sigma in SIGMA]
    logs = np.stack([times @ np.log(np.maximum(one, 1e-300)) for one in mixed])
    logs += log_prior(SIGMA, SCALES["sigma"])[:, None] + jeffreys(logits) / kinds
    weights: np.ndarray = np.exp(logs - logs.max())
    return weights


def _likelihoods(hits: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """(questions, LATENT), up to a factor each."""
    misses = answers - hits
    known = hits * misses / np.maximum(answers, 1)
    part = np.minimum(1, MOST_INFORMATION / np.maximum(known, 1e-9))[:, None]
    logs = -part * (hits[:, None] * np.logaddexp(0, -LATENT) + misses[:, None] * np.logaddexp(0, LATENT))
    likelihoods: np.ndarray = np.exp(logs - logs.max(1, keepdims=True))
    return likelihoods


def _at(likelihoods: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """(questions, *logits.shape): likelihoods at logits between those of `LATENT`."""
    where = np.clip((logits - LATENT[0]) / (LATENT[1] - LATENT[0]), 0, len(LATENT) - 1.001)
    left = where.astype(int)
    part = where - left
    found: np.ndarray = likelihoods[:, left] * (1 - part) + likelihoods[:, left + 1] * part
    return found


@cache
def _blur(omega: float) -> np.ndarray:
    """(LATENT, LATENT): the part of ω that each arm has."""
    kernel = np.exp(-((LATENT[:, None] - LATENT) ** 2) / omega**2)
    kernel /= kernel.sum(1, keepdims=True)
    return np.asarray(kernel)


@cache
def _rates(spread: float) -> np.ndarray:
    """Logits of the rates of questions that spread so much around each of `LATENT`."""
    hits = special.expit(LATENT[:, None] + spread * Z) @ WEIGHTS
    misses = special.expit(-(LATENT[:, None] + spread * Z)) @ WEIGHTS
    logits: np.ndarray = np.log(hits) - np.log(misses)
    return logits


def centres(logits: np.ndarray, spread: float) -> np.ndarray:
    """µ for rates with these logits, if questions spread so much."""
    return np.asarray(np.interp(logits, _rates(spread), LATENT))


def jeffreys(logits: np.ndarray) -> np.ndarray:
    """The log of Jeffreys' prior of a rate, as a density of its logit."""
    return np.asarray(-0.5 * (np.logaddexp(0, -logits) + np.logaddexp(0, logits)))


def log_prior(grid: np.ndarray, scale: float) -> np.ndarray:
    """Of a standard deviation, as a weight of each value of a grid."""
    logs: np.ndarray = stats.halfnorm.logpdf(grid, scale=scale) + np.log(np.gradient(grid))
    return logs
