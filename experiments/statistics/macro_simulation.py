"""Simulated tasks whose true rates are known: how often intervals of their macro mean hold the truth.

Tasks have unequally many questions and rates that lie apart on the logit; questions and fine-tunes of each are its
own. Fine-tunes differ little, or as much as those of a benign task that some seeds hardly learn.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache, partial
from itertools import product

import numpy as np
from scipy import optimize, special

from experiments.statistics.estimates import Estimate, mean_contrast_of, mean_of
from experiments.statistics.kinds import Kinds
from experiments.statistics.mixed import Counts
from experiments.statistics.simulation import ANSWERS, BETWEEN_ARMS, MANY, Coverage, covers, draw_questions

QUESTIONS, SEEDS, RATES = (24, 8, 36, 16), (2, 3, 5), (0.005, 0.05, 0.5, 0.95)
PAIRS = ((0.005, 0.001), (0.05, 0.01), (0.5, 0.2), (0.95, 0.8))
# Logits of the first and the last task around their centre; standard deviations between fine-tunes, and the part of
# each that two arms with one seed do not share.
APART, BETWEEN_SEEDS, OWN = 1.0, (0.3, 0.9), 0.5


@dataclass(frozen=True)
class Tasks:
    """So many tasks, each after so many fine-tunes, which spread so much."""

    tasks: int
    seeds: int
    spread: float


def rate_coverage(design: Tasks, rate: float, simulations: int) -> Coverage:
    """That of the mean of the rates."""

    def make(rng: np.random.Generator) -> Estimate:
        return mean_of(_draw(rng, design, rate, *_shared(rng, design), 0.0))

    return covers(make, rate, simulations)


def difference_coverage(design: Tasks, rate: float, other: float, simulations: int) -> Coverage:
    """That of the mean of the differences to an arm with another rate, with the same seeds and questions."""

    def make(rng: np.random.Generator) -> Estimate:
        shared = _shared(rng, design)
        one, two = _draw(rng, design, rate, *shared, BETWEEN_ARMS), _draw(rng, design, other, *shared, 0.0)
        return mean_contrast_of(one, two).difference

    return covers(make, rate - other, simulations)


def tables(simulations: int, pool: Executor) -> Iterator[str]:
    """Lines of two tables in Markdown: of means, and of differences of means after three fine-tunes."""
    rates = [(f"{100 * rate:g} %", partial(rate_coverage, rate=rate)) for rate in RATES]
    pairs = [(f"{100 * a:g} − {100 * b:g} %", partial(difference_coverage, rate=a, other=b)) for a, b in PAIRS]
    for name, columns, seeds in (("means of tasks", rates, SEEDS), ("differences of means", pairs, (3,))):
        designs = [Tasks(*each) for each in product(range(1, len(QUESTIONS) + 1), seeds, BETWEEN_SEEDS)]
        waiting = [[pool.submit(make, design, simulations=simulations) for _, make in columns] for design in designs]
        yield f"\n| {name} | seeds | they spread | {' | '.join(head for head, _ in columns)} |"
        yield f"|--:|--:|--:|{'--:|' * len(columns)}"
        for design, row in zip(designs, waiting, strict=True):
            cells = [str(each.result()) for each in row]
            yield f"| {design.tasks} | {design.seeds} | {design.spread:g} | {' | '.join(cells)} |"


def _shared(rng: np.random.Generator, design: Tasks) -> tuple[list[np.ndarray], np.ndarray]:
    """What all arms share: logits of the questions of each task, and (tasks, seeds, 1) of fine-tunes."""
    questions = [draw_questions(rng, "normal", count) for count in QUESTIONS[: design.tasks]]
    shared = design.spread * np.sqrt(1 - OWN**2)
    return questions, shared * rng.normal(size=(design.tasks, design.seeds, 1))


def _draw(
    rng: np.random.Generator,
    design: Tasks,
    rate: float,
    questions: list[np.ndarray],
    seeds: np.ndarray,
    change: float,
) -> Kinds:
    """The answers of one arm, which changes each question in its own way."""
    counts = []
    for centre, logits, shared in zip(_centres(design, rate, change), questions, seeds, strict=True):
        own = design.spread * OWN * rng.normal(size=shared.shape) + change * rng.normal(size=len(logits))
        hits = rng.binomial(ANSWERS, special.expit(centre + logits + shared + own))
        counts.append(Counts(hits, np.full(hits.shape, ANSWERS)))
    return tuple(counts)


@cache
def _centres(design: Tasks, rate: float, change: float) -> np.ndarray:
    """The logit of each task about which questions and fine-tunes have this rate in the mean of the tasks."""
    rng = np.random.default_rng(0)
    deviations = draw_questions(rng, "normal", MANY // 4)
    deviations = deviations + np.hypot(design.spread, change) * rng.normal(size=len(deviations))
    apart = APART * np.linspace(-1, 1, design.tasks) if design.tasks > 1 else np.zeros(1)

    def excess(logit: float) -> float:
        return float(np.mean([special.expit(logit + each + deviations).mean() for each in apart])) - rate

    return np.asarray(optimize.brentq(excess, -30, 30) + apart)
