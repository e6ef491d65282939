"""Simulated safeguards whose true trade-offs are known: are they on the frontier as often as is said?

Each has rates of its own of three kinds, misaligned, learnt and incoherent, and what prevents more lets less be
learnt. The first and the last are asked of the same questions, what is learnt of others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from experiments.statistics.joint import correlate, draw_together
from experiments.statistics.kinds import rate_posterior
from experiments.statistics.mixed import Counts
from experiments.statistics.simulation import (
    ANSWERS,
    BETWEEN_ARMS,
    BETWEEN_SEEDS,
    MANY,
    Coverage,
    covers,
    draw_questions,
)
from experiments.statistics.tradeoff import chances_unbeaten, volume

SEEDS, QUESTIONS, RATES = 3, (8, 36), (0.005, 0.05, 0.5)
# Safeguards that are compared, questions about what is learnt, and how much of it and of incoherence there is.
ROWS, NARROW, LEARNT, INCOHERENT = 6, 16, 0.6, 0.05
# Chances between these are counted together.
BINS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
# Of a safeguard: what each dose adds to its logits of misalignment, of what is learnt, and of incoherence.
FAMILIES = {
    "one dose": [(-1.5, -1.2, 0.4)],
    "four doses": [(-strength, -0.8 * strength, 0.3 * strength) for strength in (0.5, 1.2, 1.9, 2.5)],
    "four doses alike": [(-1.5, -1.2, 0.4)] * 4,
    "four doses that do nothing": [(0.0, 0.0, 0.0)] * 4,
}


class Stated(NamedTuple):
    """Of the chances in a bin: how many there are, their mean, and how often they came true."""

    size: int
    stated: float
    true: float


def calibration(rate: float, questions: int, simulations: int) -> list[Stated]:
    """By `BINS`: how often a row is on the frontier of the true rates that is said to be with such a chance."""
    stated, true = [], []
    for number in range(simulations):
        rng = np.random.default_rng([11, number])
        strength, own = rng.normal(size=ROWS), rng.normal(size=(3, ROWS))
        shifts = np.stack([0.7 * strength + 0.7 * own[0], 0.5 * strength + 0.7 * own[1], own[2]])
        logits = np.array([logit(rate), logit(LEARNT), logit(INCOHERENT)])[:, None] + shifts
        stated += chances_unbeaten(*_drawn(rng, logits, questions)).tolist()
        true += (chances_unbeaten(*rate_at(logits)[..., None]) == 1).tolist()
    chances, hits = np.array(stated), np.array(true)
    where = np.digitize(chances, BINS[1:-1])
    bins = [where == place for place in range(len(BINS) - 1)]
    return [Stated(int(own.sum()), *(float(side[own].mean()) for side in (chances, hits))) for own in bins if own.any()]


def volume_coverage(rate: float, questions: int, family: str, simulations: int) -> Coverage:
    """How often the interval of a volume holds that of the true rates."""
    # No safeguard, the model before training, and the doses.
    shifts = np.array([(0.0, 0.0, 0.0), (-6.0, -6.0, -0.5), *FAMILIES[family]]).T
    logits = np.array([logit(rate), logit(0.8), logit(INCOHERENT)])[:, None] + shifts

    def of(rates: np.ndarray) -> tuple[np.ndarray, ...]:
        through, learnt, incoherent = rates
        return through[2:], learnt[2:], incoherent[2:], through[0], learnt[1], learnt[0]

    truth = volume(*of(rate_at(logits)[..., None])).mean or 0.0
    return covers(lambda rng: volume(*of(_drawn(rng, logits, questions))), truth, simulations)


def tables(simulations: int, pool: Executor) -> Iterator[str]:
    """Lines of two tables in Markdown, of `calibration` and of `volume_coverage`."""
    designs = list(product(RATES, QUESTIONS))
    waiting = [pool.submit(calibration, *design, simulations) for design in designs]
    volumes = [[pool.submit(volume_coverage, *design, name, simulations) for design in designs] for name in FAMILIES]
    heads = [f"{100 * rate:g} %, {questions} questions" for rate, questions in designs]
    yield f"\n| on the frontier: stated → true % | {' | '.join(heads)} |\n|:--|{'--:|' * len(heads)}"
    found = [_by_bin(each.result()) for each in waiting]
    for place in range(len(BINS) - 1):
        cells = [each.get(place, "") for each in found]
        yield f"| {100 * BINS[place]:.0f} to {100 * BINS[place + 1]:.0f} | {' | '.join(cells)} |"
    yield f"\n| volume | {' | '.join(heads)} |\n|:--|{'--:|' * len(heads)}"
    for name, row in zip(FAMILIES, volumes, strict=True):
        cells = [str(each.result()) for each in row]
        yield f"| {name} | {' | '.join(cells)} |"


def _by_bin(found: Sequence[Stated]) -> dict[int, str]:
    """Cells by the place of their bin."""
    return {
        int(np.digitize(one.stated, BINS[1:-1])): f"{100 * one.stated:.0f} → {100 * one.true:.0f} ({one.size})"
        for one in found
    }


def _drawn(rng: np.random.Generator, logits: np.ndarray, questions: int) -> np.ndarray:
    """(3, rows, draws): what rates may be, judged by simulated answers of rows with these (3, rows) logits."""
    broad, narrow = draw_questions(rng, "normal", questions), draw_questions(rng, "normal", NARROW)
    asked = [(broad, "broad"), (narrow, "narrow"), (draw_questions(rng, "normal", questions), "broad")]
    counts, cells = [], []
    for own, (shared, name) in zip(logits, asked, strict=True):
        for at in own:
            answered = _answers(rng, at + shared)
            counts.append(answered)
            left = answered.hits - answered.hits.mean()
            names = [f"{name} {number}" for number in range(len(shared))]
            cells.append(pd.DataFrame(left / answered.answers.sum(), columns=names))
    drawn = draw_together([rate_posterior((each,)) for each in counts], correlate(cells))
    return drawn.reshape(*logits.shape, -1)


def _answers(rng: np.random.Generator, logits: np.ndarray) -> Counts:
    """Those of an arm to questions with these logits, which it changes a little and each fine-tune of it again."""
    own = BETWEEN_ARMS * rng.normal(size=logits.shape) + BETWEEN_SEEDS * rng.normal(size=(SEEDS, 1))
    hits = rng.binomial(ANSWERS, special.expit(logits + own))
    return Counts(hits, np.full(hits.shape, ANSWERS))


@cache
def _rates() -> tuple[np.ndarray, np.ndarray]:
    """Logits, and the rates over questions, arms and fine-tunes that deviate from them."""
    rng = np.random.default_rng(0)
    spread = np.hypot(BETWEEN_ARMS, BETWEEN_SEEDS)
    deviations = draw_questions(rng, "normal", MANY // 4) + spread * rng.normal(size=MANY // 4)
    logits = np.linspace(-16, 10, 261)
    return logits, np.array([special.expit(at + deviations).mean() for at in logits])


def rate_at(logits: np.ndarray) -> np.ndarray:
    """The true rates of rows whose questions have these logits in their centre."""
    return np.asarray(np.interp(logits, *_rates()))


def logit(rate: float) -> float:
    """The centre of questions with this rate."""
    logits, rates = _rates()
    return float(np.interp(rate, rates, logits))
