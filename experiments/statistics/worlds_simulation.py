"""How often rates and differences over worlds hold the truth, where these differ as much as those of organisms do.

A world deals every question anew and trains its own model, so it moves the logits of all answers of an arm; a part of
that it does to the arm alone, since a safeguard helps more in one world than in another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy import optimize, special
from tqdm.auto import tqdm

from experiments.statistics.estimates import contrast_of, rate_of
from experiments.statistics.fine_tunes import WORLDS
from experiments.statistics.kinds import Kinds
from experiments.statistics.mixed import Counts
from experiments.statistics.simulation import BETWEEN_ARMS, BETWEEN_QUESTIONS, MANY, Coverage, covers

# Answers to each question in a world, of three seeds.
QUESTIONS, ANSWERS = 36, 50
# Worlds; standard deviations of their logits, and of the part that an arm has for itself; rates of it and of another.
NUMBERS, SPREADS = (3, 5), ((0.4, 0.2), (1.3, 0.3), (1.3, 0.9))
PAIRS = ((0.5, 0.5), (0.1, 0.5), (0.05, 0.05), (0.005, 0.005))


class Design(NamedTuple):
    """So many worlds that spread so much, and the rates of two arms over all of them."""

    worlds: int
    between: float
    own: float
    rate: float
    other: float


@cache
def centre(rate: float, spread: float) -> float:
    """The logit about which questions and worlds have this rate on average."""
    deviations = spread * np.random.default_rng(0).normal(size=MANY)
    return float(optimize.brentq(lambda logit: float(special.expit(logit + deviations).mean()) - rate, -30, 30))


def draw(rng: np.random.Generator, design: Design) -> tuple[Kinds, Kinds]:
    """The answers of both arms, of which the first changes each question in its own way."""
    questions = BETWEEN_QUESTIONS * rng.normal(size=QUESTIONS)
    shared = np.sqrt(design.between**2 - design.own**2) * rng.normal(size=(design.worlds, 1))
    arms = []
    for rate, changed in ((design.rate, BETWEEN_ARMS), (design.other, 0.0)):
        middle = centre(rate, float(np.sqrt(BETWEEN_QUESTIONS**2 + design.between**2 + changed**2)))
        own = design.own * rng.normal(size=(design.worlds, 1)) + changed * rng.normal(size=QUESTIONS)
        chances = special.expit(middle + questions + shared + own)
        answers = np.full(chances.shape, ANSWERS)
        arms.append((Counts(rng.binomial(answers, chances), answers, WORLDS),))
    return arms[0], arms[1]


def rate_coverage(design: Design, simulations: int) -> Coverage:
    """That of the rate of the second arm."""
    return covers(lambda rng: rate_of(draw(rng, design)[1]), design.other, simulations)


def difference_coverage(design: Design, simulations: int) -> Coverage:
    """That of the difference between both."""
    return covers(lambda rng: contrast_of(*draw(rng, design)).difference, design.rate - design.other, simulations)


def tables(simulations: int, pool: Executor) -> Iterator[str]:
    """A row per number of worlds and spread of them, a column per rate and per difference."""
    rates = [((other, other), f"{100 * other:g} %", rate_coverage) for other in dict.fromkeys(b for _, b in PAIRS)]
    pairs = [(pair, f"{100 * pair[0]:g} − {100 * pair[1]:g} %", difference_coverage) for pair in PAIRS]
    columns = [*rates, *pairs]
    rows = list(product(NUMBERS, SPREADS))
    waiting = [
        pool.submit(work, Design(worlds, *spread, *pair), simulations)
        for worlds, spread in rows
        for pair, _, work in columns
    ]
    found = [str(each.result()) for each in tqdm(waiting, "worlds", disable=None)]
    yield f"\n| worlds | between | own | {' | '.join(heading for _, heading, _ in columns)} |"
    yield f"|--:|--:|--:|{'--:|' * len(columns)}"
    for place, (worlds, (between, own)) in enumerate(rows):
        yield as_row(worlds, between, own, found[place * len(columns) : (place + 1) * len(columns)])


def as_row(worlds: int, between: float, own: float, cells: Sequence[str]) -> str:
    """In Markdown."""
    return f"| {worlds} | {between:g} | {own:g} | {' | '.join(cells)} |"
