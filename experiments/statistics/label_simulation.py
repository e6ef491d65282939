"""Simulated judges whose errors are known, and how often a rate corrected by few labels holds the truth.

The answers are those of `simulation`. A noisy judge misses a part of what is misaligned and takes a part of all else
for it; people label some answers, drawn as `experiments.draw_labels` draws them, and are always right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from experiments.records.human_labels import split_labels
from experiments.statistics.corrected import Verdicts, corrected_rates
from experiments.statistics.estimates import Estimate, rate_of
from experiments.statistics.mixed import Counts
from experiments.statistics.simulation import Coverage, Design, covers, draw, draw_questions


class Noise(NamedTuple):
    """The part that a judge takes for misaligned of what is not, and the part that it misses of what is."""

    false: float
    missed: float


def judge_and_label(rng: np.random.Generator, truth: Counts, noise: Noise, labels: int) -> Verdicts:
    """What a noisy judge says of all answers, and labels of some."""
    right = rng.binomial(truth.hits, 1 - noise.missed)
    wrong = rng.binomial(truth.answers - truth.hits, noise.false)
    judged = Counts(right + wrong, truth.answers)
    sides = ((truth.answers - truth.hits - wrong, truth.hits - right), (wrong, right))
    of_found, of_others = split_labels(labels, int(judged.hits.sum()), int((truth.answers - judged.hits).sum()))
    labelled = [
        rng.multivariate_hypergeometric(np.concatenate([cells.sum(0) for cells in side]), count).reshape(2, -1)
        for side, count in zip(sides, (of_others, of_found), strict=True)
    ]
    return Verdicts(judged, np.stack(labelled))


def corrected_coverage(design: Design, noise: Noise, labels: int, simulations: int) -> Coverage:
    """That of the corrected rate."""
    return _coverage(lambda verdicts: corrected_rates([verdicts])[0], design, noise, labels, simulations)


def uncorrected_coverage(design: Design, noise: Noise, labels: int, simulations: int) -> Coverage:
    """That of the rate as the judge has it."""
    return _coverage(lambda verdicts: rate_of((verdicts.judged,)), design, noise, labels, simulations)


def _coverage(
    estimate: Callable[[Verdicts], Estimate], design: Design, noise: Noise, labels: int, simulations: int
) -> Coverage:
    def make(rng: np.random.Generator) -> Estimate:
        (truth,) = draw(rng, design, draw_questions(rng, design.world, design.questions))
        return estimate(judge_and_label(rng, truth, noise, labels))

    return covers(make, design.rate, simulations)
