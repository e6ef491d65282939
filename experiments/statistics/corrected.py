"""Rates corrected for a judge's errors, by a sample of answers that people labelled.

A judge that finds a part s of what truly is of a class, and takes a part f of all else for it, says it of

    p s + (1 − p) f         of the answers to a question with the true rate p

(Rogan and Gladen 1978, Am. J. Epidemiology 107:71). Neither s nor f is known, but labels say what hides behind either
verdict, as in prediction-powered inference (Angelopoulos et al. 2023, Science 382:669), so both and the rate are
inferred together (Gelman and Carpenter 2020, J. R. Stat. Soc. C 69:1269): with questions as in `mixed`, fine-tunes as
in `fine_tunes`, and Jeffreys' priors on s and f, of a judge better than chance. Unlike a plug-in, no bound leaves 0 to
1, none collapses where labels are few, and answers to one question count as such.

What is assumed: that the answers of one side of the judge are labelled at random, and that one s and one f hold for all
questions, and for all arms whose labels are put together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from experiments.statistics.estimates import Estimate
from experiments.statistics.fine_tunes import LATENT as DEVIATIONS
from experiments.statistics.fine_tunes import chances_of_spreads, likelihoods
from experiments.statistics.mixed import (
    MOST_INFORMATION,
    SCALES,
    SIGMA,
    WEIGHTS,
    Counts,
    Posterior,
    Z,
    centres,
    jeffreys,
    log_prior,
)

# Logits of single questions.
LATENT = np.linspace(-16, 12, 141)
# Logits of the rate, of s and of f: where they may be at all, and how their grids close in on where they are.
RATES, FOUND, FALSE = (-11.0, 8.0), (-6.0, 9.0), (-11.0, 6.0)
POINTS, PASSES, LEFT_OUT = 13, 4, 1e-4


@dataclass(frozen=True)
class Verdicts:
    """Which answers of an arm a judge says to be of a class, and which people do of those that they labelled.

    Args:
        judged: by seed and question: hits are what the judge says to be of the class.
        labelled: (2, 2, questions): answers by the judge's verdict, the label (0 is no, 1 yes) and question.
    """

    judged: Counts
    labelled: np.ndarray

    @cached_property
    def sides(self) -> np.ndarray:
        """(2,): answers by the judge's verdict."""
        hits = self.judged.hits.sum()
        return np.array([self.judged.answers.sum() - hits, hits])

    def rate(self) -> float | None:
        """Labelled shares of either side, weighed as these are; None where one has answers and no label."""
        labelled = self.labelled.sum(2)
        if ((labelled.sum(1) == 0) & (self.sides > 0)).any():
            return None
        return float((self.sides * labelled[:, 1] / np.maximum(labelled.sum(1), 1)).sum() / self.sides.sum())


def corrected_rates(arms: Sequence[Verdicts]) -> list[Estimate]:
    """What the rates of arms truly are, if the judge errs alike in all of them; `n` is the number of labels used.

    The mean is that of the arm's own labels, whatever the judge's errors are elsewhere; the median of the posterior
    where it has none on one side.
    """
    posteriors = corrected_posteriors(arms)
    labels = int(sum(arm.labelled.sum() for arm in arms))
    found = []
    for arm, posterior in zip(arms, posteriors, strict=True):
        low, high = posterior.interval()
        own = arm.rate()
        mean = posterior.interval(0.0)[0] if own is None else own
        low, high = 0.0 if mean == 0 else min(low, mean), 1.0 if mean == 1 else max(high, mean)
        found.append(Estimate(mean, low, high, labels))
    return found


def corrected_posteriors(arms: Sequence[Verdicts]) -> list[Posterior]:
    """What the rates of arms may be, over all questions and fine-tunes."""
    spots = [*([RATES] * len(arms)), FOUND, FALSE]
    for _ in range(PASSES):
        *rates, found, false = (np.linspace(*spot, POINTS) for spot in spots)
        logs = [_given(arm, rate, found, false) for arm, rate in zip(arms, rates, strict=True)]
        shares = [special.logsumexp(log, axis=2, keepdims=True) for log in logs]
        better = np.where(found[:, None] > false, jeffreys(found)[:, None] + jeffreys(false), -np.inf)
        errors = np.exp((whole := sum(shares)[:, :, 0] + better) - whole.max())
        by_rate = [(np.exp(log - own) * errors[:, :, None]).sum((0, 1)) for log, own in zip(logs, shares, strict=True)]
        grids = zip((*rates, found, false), (*by_rate, errors.sum(1), errors.sum(0)), strict=True)
        spots = [_close_in(grid, weights) for grid, weights in grids]
    s, f = special.expit((found @ errors.sum(1), false @ errors.sum(0)) / errors.sum())
    return [
        _over_seeds(arm.judged, rate, weights, s, f) for arm, rate, weights in zip(arms, rates, by_rate, strict=True)
    ]


def _given(arm: Verdicts, rates: np.ndarray, found: np.ndarray, false: np.ndarray) -> np.ndarray:
    """(found, false, rates): the log of the posterior of a rate and the judge's errors, if fine-tunes were alike."""
    hits, answers = arm.judged.by_question
    cells = np.concatenate([np.stack([answers - hits, hits]), arm.labelled.reshape(4, -1)])
    (no, yes, no_0, no_1, yes_0, yes_1), times = np.unique(cells, axis=1, return_counts=True)
    part = np.minimum(1, MOST_INFORMATION * (no + yes) / np.maximum(no * yes, 1e-9))[:, None]
    rest = [part * (side - known)[:, None] for side, known in ((no, no_0 + no_1), (yes, yes_0 + yes_1))]
    of_labels = (no_1 + yes_1)[:, None] * special.log_expit(LATENT) + (no_0 + yes_0)[:, None] * special.log_expit(
        -LATENT
    )
    spread = np.concatenate([_spread(rates, sigma) for sigma in SIGMA])
    prior = jeffreys(rates) + log_prior(SIGMA, SCALES["sigma"])[:, None]
    logs: np.ndarray = np.empty((len(found), len(false), len(rates)))
    f = special.expit(false)[:, None, None]
    for place, one in enumerate(found):
        says = f + (special.expit(one) - f) * special.expit(LATENT)
        each = of_labels + rest[0] * np.log1p(-says) + rest[1] * np.log(says)  # (false, questions, LATENT)
        most = each.max(2)
        mixed = np.log(np.maximum(np.exp(each - most[:, :, None]) @ spread.T, 1e-300)) + most[:, :, None]
        by_sigma = np.tensordot(mixed, times, (1, 0)).reshape(len(false), len(SIGMA), len(rates))
        logs[place] = special.logsumexp(by_sigma + prior, axis=1)
        logs[place] += times @ yes_1 * special.log_expit(one) + times @ no_1 * special.log_expit(-one)
    logs += (times @ yes_0 * special.log_expit(false) + times @ no_0 * special.log_expit(-false))[:, None]
    return logs


def _close_in(grid: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Where almost all of the weight is, and a step and a half to either side."""
    low, high = Posterior.of(grid, weights).interval(1 - 2 * LEFT_OUT)
    margin = 1.5 * (grid[1] - grid[0])
    return max(low - margin, grid[0]), min(high + margin, grid[-1])


def _over_seeds(judged: Counts, rates: np.ndarray, weights: np.ndarray, s: float, f: float) -> Posterior:
    """The rate over all fine-tunes, from that of these; one fine-tune says nothing of others, and is left as it is."""
    seeds = len(judged.hits)
    if seeds == 1:
        return Posterior.of(special.expit(rates), weights)
    hits, answers = judged.by_seed.sum(1)
    truly = special.logit(np.clip((hits / answers - f) / (s - f), 1e-6, 1 - 1e-6))
    known = likelihoods(judged.by_seed, f + (s - f) * special.expit(truly + DEVIATIONS))
    chances = chances_of_spreads(known, judged.draws)[:, None] * WEIGHTS
    moved = rates[:, None, None] + judged.draws.grid[:, None] / np.sqrt(seeds) * Z
    return Posterior.of(special.expit(moved), weights[:, None, None] * chances)


def _spread(rates: np.ndarray, sigma: float) -> np.ndarray:
    """(rates, LATENT): how probable the logits of questions are that have these rates on average."""
    spread: np.ndarray = np.exp(-0.5 * ((LATENT - centres(rates, sigma)[:, None]) / sigma) ** 2)
    spread /= np.maximum(spread.sum(1, keepdims=True), 1e-300)
    return spread
