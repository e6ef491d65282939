"""Simulated answers whose true rates are known, and how often the intervals of tables hold them.

A question has a logit of its own and so has a fine-tune; both are drawn for every simulation, as a table claims to
speak of others than those it saw. Questions come in three worlds: `normal` logits, as the model of the intervals
has it, and two that it does not know: `few`, where a tenth of the questions have ten times the odds of the others
squared, and `beta`, where the rates themselves have a beta distribution as wide as the normal one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from experiments.statistics.estimates import Contrast, Estimate, any_of, contrast_of, holm, rate_of
from experiments.statistics.mixed import Counts

WORLDS = ("normal", "few", "beta")
# Standard deviations of logits between questions, of what an arm changes in them, and between fine-tunes.
BETWEEN_QUESTIONS, BETWEEN_ARMS, BETWEEN_SEEDS = 1.5, 0.7, 0.3
ANSWERS, MANY = 12, 200_000


@dataclass(frozen=True)
class Design:
    """What is asked of how many fine-tunes, and how often."""

    questions: int
    seeds: int
    rate: float
    world: str = "normal"
    answers: int = ANSWERS


class Coverage(NamedTuple):
    """How often an interval held the truth, and how often it lay below it or above it; its mean width."""

    held: float
    below: float
    above: float
    width: float


def draw_questions(rng: np.random.Generator, world: str, shape: tuple[int, ...]) -> np.ndarray:
    """Deviations of the logits of questions from their centre."""
    if world == "few":
        bad = rng.random(shape) < 0.1
        return np.where(bad, 2 * np.log(10.0), 0.0) + 0.3 * rng.normal(size=shape)
    if world == "beta":  # of logit variance π²/6 + 1/a² + …, about that of the normal one
        drawn = rng.beta(0.85, 6.0, shape)
        return np.asarray(special.logit(np.clip(drawn, 1e-12, 1 - 1e-12)) - special.logit(0.85 / 6.85))
    return BETWEEN_QUESTIONS * rng.normal(size=shape)


@cache
def centre(world: str, rate: float) -> float:
    """The logit about which questions and fine-tunes have this rate on average."""
    rng = np.random.default_rng(0)
    deviations = draw_questions(rng, world, (MANY,)) + BETWEEN_SEEDS * rng.normal(size=MANY)
    return float(optimize.brentq(lambda logit: special.expit(logit + deviations).mean() - rate, -30, 30))


def draw(rng: np.random.Generator, design: Design, questions: np.ndarray) -> Counts:
    """The answers of one arm to these questions."""
    seeds = BETWEEN_SEEDS * rng.normal(size=(design.seeds, 1))
    chances = special.expit(centre(design.world, design.rate) + questions + seeds)
    return Counts(rng.binomial(design.answers, chances), np.full(chances.shape, design.answers))


def covers(make: Callable[[np.random.Generator], Estimate], truth: float, simulations: int) -> Coverage:
    """How often the interval of simulated records holds the truth."""
    bounds = np.array([make(np.random.default_rng([7, n]))[1:3] for n in range(simulations)], float)
    low, high = bounds.T
    held, below, above = (low <= truth) & (truth <= high), high < truth, low > truth
    return Coverage(float(held.mean()), float(below.mean()), float(above.mean()), float((high - low).mean()))


def rate_coverage(design: Design, simulations: int) -> Coverage:
    """That of a rate."""

    def make(rng: np.random.Generator) -> Estimate:
        return rate_of(draw(rng, design, draw_questions(rng, design.world, (design.questions,))))

    return covers(make, design.rate, simulations)


def any_coverage(design: Design, k: int, simulations: int) -> Coverage:
    """That of the chance of at least one hit in k answers."""
    rng = np.random.default_rng(1)
    logits = centre(design.world, design.rate) + draw_questions(rng, design.world, (MANY,))
    truth = float(np.mean(1 - special.expit(-logits - BETWEEN_SEEDS * rng.normal(size=MANY)) ** k))

    def make(rng: np.random.Generator) -> Estimate:
        counts = draw(rng, design, draw_questions(rng, design.world, (design.questions,)))
        missed = special.comb(counts.answers - counts.hits, k) / special.comb(counts.answers, k)
        return any_of(counts, k, float(1 - missed.mean()), counts.hits.size)

    return covers(make, truth, simulations)


def difference_coverage(design: Design, other: float, simulations: int) -> Coverage:
    """That of the difference to an arm with another rate, asked the same questions."""

    def make(rng: np.random.Generator) -> Estimate:
        first, second = _pair(rng, design, Design(design.questions, design.seeds, other, design.world, design.answers))
        return contrast_of(first, second).difference

    return covers(make, design.rate - other, simulations)


def _pair(rng: np.random.Generator, design: Design, other: Design) -> tuple[Counts, Counts]:
    shared = draw_questions(rng, design.world, (design.questions,))
    return draw(rng, design, shared), draw(rng, other, shared)


def family_wise_error(design: Design, arms: int, simulations: int) -> float:
    """How often any of several arms is found to differ from one that has the same rate, by Holm at 5 %."""

    def finds(rng: np.random.Generator) -> bool:
        questions = draw_questions(rng, design.world, (design.questions,))
        none = draw(rng, design, questions)
        contrasts: list[Contrast] = [contrast_of(draw(rng, design, questions), none) for _ in range(arms)]
        return any(holm([1.0 if each.p is None else each.p for each in contrasts]))

    return float(np.mean([finds(np.random.default_rng([8, n])) for n in range(simulations)]))
