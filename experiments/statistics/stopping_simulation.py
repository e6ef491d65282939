"""Simulated fine-tunes whose excess over a stopping curve is known, and how often its interval holds the truth.

Questions and fine-tunes are those of `simulation`. The curve has the rates of one fine-tune at each of its points; the
arm has learnt what lies halfway between two of them, and lets through what lies halfway, less a part that is prevented.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from experiments.statistics.estimates import Estimate
from experiments.statistics.kinds import Kinds
from experiments.statistics.mixed import Counts
from experiments.statistics.simulation import (
    BETWEEN_ARMS,
    OWN_SEEDS,
    Coverage,
    Design,
    centre,
    covers,
    draw_questions,
    draw_seeds,
)
from experiments.statistics.stopping import excess_at, find_stop

# What of the task is learnt at each point of a curve, and which part is then broken of all that will be.
LEARNT = (0.003, 0.02, 0.1, 0.4, 0.73, 0.9, 0.92, 0.94)
BROKEN = (0.004, 0.05, 0.12, 0.35, 0.6, 0.88, 1.0, 1.0)
# Questions about the task are few and often asked.
OWN_QUESTIONS, OWN_ANSWERS = 4, 16


@dataclass(frozen=True)
class Stopped:
    """An arm beside a curve.

    Args:
        end: what the curve lets through in the end.
        after: the point of the curve after which the arm lies.
        prevented: the part of what the curve lets through there.
        seeds, questions: how many.
    """

    end: float
    after: int
    prevented: float = 0.0
    seeds: int = 3
    questions: int = 36

    @property
    def there(self) -> float:
        """What the curve lets through where it has learnt as much."""
        return self.end * (BROKEN[self.after] + BROKEN[self.after + 1]) / 2


def excess_coverage(stopped: Stopped, simulations: int) -> Coverage:
    """That of the excess."""
    return covers(lambda rng: simulate(rng, stopped), -stopped.prevented * stopped.there, simulations)


def simulate(rng: np.random.Generator, stopped: Stopped) -> Estimate:
    """The excess of an arm in simulated records."""
    shared = draw_seeds(rng, Design(1, stopped.seeds, 0.5))
    own = [OWN_SEEDS * rng.normal(size=(stopped.seeds, 1)) for _ in ("arm", "curve")]
    broad = [stopped.end * part for part in BROKEN]
    arms = ((LEARNT[stopped.after] + LEARNT[stopped.after + 1]) / 2, (1 - stopped.prevented) * stopped.there)
    sizes = ((OWN_QUESTIONS, OWN_ANSWERS), (stopped.questions, 12))
    found = []
    for rate, rates, (count, answers) in zip(arms, (LEARNT, broad), sizes, strict=True):
        questions = draw_questions(rng, "normal", count)
        changed = questions + BETWEEN_ARMS * rng.normal(size=count)
        arm = answered(rng, rate, changed + shared + own[0], answers, BETWEEN_ARMS)
        found.append((arm, [answered(rng, each, questions + shared + own[1], answers) for each in rates]))
    (learnt, curve), (let_through, broken) = found
    return excess_at(find_stop(learnt, curve), let_through, broken)


def answered(rng: np.random.Generator, rate: float, logits: np.ndarray, answers: int, change: float = 0.0) -> Kinds:
    """Answers to questions whose logits deviate so much, after fine-tunes, from the centre that has this rate."""
    asked = np.full(logits.shape, answers)
    return (Counts(rng.binomial(asked, special.expit(centre("normal", rate, change) + logits)), asked),)
