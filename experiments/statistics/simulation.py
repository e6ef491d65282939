"""Simulated answers whose true rates are known, and how often the intervals of tables hold them.

A question has a logit of its own and so has a fine-tune; both are drawn for every simulation, as a table claims to
speak of others than those it saw. Questions come in four worlds: with `normal` logits, as the model of the intervals
has it; with a `few`, a tenth, that have a hundred times the odds of the others; with rates of a `beta` distribution as
wide as the normal one; and of two `kinds`, of which one has three times the odds and twice the answers of the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from experiments.statistics.estimates import Estimate, any_of, contrast_of, holm, rate_of
from experiments.statistics.kinds import Kinds
from experiments.statistics.mixed import Counts

WORLDS = ("normal", "few", "beta", "kinds")
# Standard deviations of logits between questions, of what an arm changes in them, between fine-tunes, and of the part
# of that which an arm has for itself.
BETWEEN_QUESTIONS, BETWEEN_ARMS, BETWEEN_SEEDS, OWN_SEEDS = 1.5, 0.7, 0.3, 0.15
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

    def __str__(self) -> str:
        """As tables have it, in percent."""
        return f"{100 * self.held:.1f} ({100 * self.below:.0f}, {100 * self.above:.0f})"


def draw_questions(rng: np.random.Generator, world: str, count: int) -> np.ndarray:
    """Deviations of the logits of questions from their centre; in the world of `kinds`, the first half are of one."""
    if world == "few":
        bad = rng.random(count) < 0.1
        return np.where(bad, 2 * np.log(10.0), 0.0) + 0.3 * rng.normal(size=count)
    if world == "beta":  # of logit variance π²/6 + 1/a² + …, about that of the normal one
        drawn = rng.beta(0.85, 6.0, count)
        return np.asarray(special.logit(np.clip(drawn, 1e-12, 1 - 1e-12)) - special.logit(0.85 / 6.85))
    likelier = np.where(np.arange(count) < count // 2, np.log(3.0), 0.0) if world == "kinds" else 0.0
    return np.asarray(BETWEEN_QUESTIONS * rng.normal(size=count) + likelier)


def times_asked(world: str, count: int) -> np.ndarray:
    """How many times as often as others each question is asked."""
    return np.where(np.arange(count) < count // 2, 2, 1) if world == "kinds" else np.ones(count, int)


@cache
def centre(world: str, rate: float, change: float = 0.0) -> float:
    """The logit about which questions and fine-tunes have this rate on average."""
    rng = np.random.default_rng(0)
    deviations = draw_questions(rng, world, MANY) + np.hypot(BETWEEN_SEEDS, change) * rng.normal(size=MANY)
    weights = times_asked(world, MANY) / times_asked(world, MANY).sum()
    return float(optimize.brentq(lambda logit: special.expit(logit + deviations) @ weights - rate, -30, 30))


def draw_seeds(rng: np.random.Generator, design: Design) -> np.ndarray:
    """(seeds, 1): what seeds do to the logits of all arms alike."""
    return np.asarray(np.sqrt(BETWEEN_SEEDS**2 - OWN_SEEDS**2) * rng.normal(size=(design.seeds, 1)))


def draw(
    rng: np.random.Generator,
    design: Design,
    questions: np.ndarray,
    seeds: np.ndarray | None = None,
    change: float = 0.0,
) -> Kinds:
    """The answers of one arm to these questions, each of which it may change in its own way."""
    shared = draw_seeds(rng, design) if seeds is None else seeds
    own = OWN_SEEDS * rng.normal(size=(design.seeds, 1)) + change * rng.normal(size=len(questions))
    chances = special.expit(centre(design.world, design.rate, change) + questions + shared + own)
    answers = np.broadcast_to(design.answers * times_asked(design.world, len(questions)), chances.shape)
    hits, kinds = rng.binomial(answers, chances), (2 if design.world == "kinds" else 1)
    return tuple(Counts(*both) for both in zip(np.split(hits, kinds, 1), np.split(answers, kinds, 1), strict=True))


def covers(make: Callable[[np.random.Generator], Estimate], truth: float, simulations: int) -> Coverage:
    """How often the interval of simulated records holds the truth."""
    bounds = np.array([make(np.random.default_rng([7, n]))[1:3] for n in range(simulations)], float)
    low, high = bounds.T
    held, below, above = (low <= truth) & (truth <= high), high < truth, low > truth
    return Coverage(float(held.mean()), float(below.mean()), float(above.mean()), float((high - low).mean()))


def rate_coverage(design: Design, simulations: int) -> Coverage:
    """That of a rate."""

    def make(rng: np.random.Generator) -> Estimate:
        return rate_of(draw(rng, design, draw_questions(rng, design.world, design.questions)))

    return covers(make, design.rate, simulations)


def any_coverage(design: Design, k: int, simulations: int) -> Coverage:
    """That of the chance of at least one hit in k answers."""
    rng = np.random.default_rng(1)
    logits = centre(design.world, design.rate) + draw_questions(rng, design.world, MANY)
    truth = float(np.mean(1 - special.expit(-logits - BETWEEN_SEEDS * rng.normal(size=MANY)) ** k))

    def make(rng: np.random.Generator) -> Estimate:
        kinds = draw(rng, design, draw_questions(rng, design.world, design.questions))
        missed = [special.comb(kind.answers - kind.hits, k) / special.comb(kind.answers, k) for kind in kinds]
        return any_of(kinds, k, [float(1 - each.mean()) for each in missed], [kind.hits.size for kind in kinds])

    return covers(make, truth, simulations)


def difference_coverage(design: Design, other: float, simulations: int) -> Coverage:
    """That of the difference to an arm with another rate, asked the same questions."""
    second = replace(design, rate=other)

    def make(rng: np.random.Generator) -> Estimate:
        questions, seeds = draw_questions(rng, design.world, design.questions), draw_seeds(rng, design)
        one, other = draw(rng, design, questions, seeds, BETWEEN_ARMS), draw(rng, second, questions, seeds)
        return contrast_of(one, other).difference

    return covers(make, design.rate - other, simulations)


def family_wise_error(design: Design, arms: int, simulations: int) -> float:
    """How often any of several arms is found to differ from one that has the same rate, by Holm at 5 %."""

    def finds(rng: np.random.Generator) -> bool:
        questions, seeds = draw_questions(rng, design.world, design.questions), draw_seeds(rng, design)
        none = draw(rng, design, questions, seeds)
        contrasts = [contrast_of(draw(rng, design, questions, seeds), none) for _ in range(arms)]
        return any(holm([1.0 if each.p is None else each.p for each in contrasts]))

    return float(np.mean([finds(np.random.default_rng([8, n])) for n in range(simulations)]))
