"""The frontier: how probably no other safeguard and dose beats a row in what it prevents and what it lets be learnt."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from experiments.records.measures import BROAD_MISALIGNED, INCOHERENT, LEARNT, NARROW_LEARNT, Measure
from experiments.report.arms import Arm
from experiments.report.measures import answers
from experiments.report.row import ComparisonRow
from experiments.statistics.joint import draw_rates
from experiments.statistics.tradeoff import chances_unbeaten

Key = TypeVar("Key", bound=Hashable)


def frontier(
    rows: Mapping[Key, ComparisonRow], arms: Mapping[Key, Sequence[Arm]]
) -> dict[Key, Mapping[Measure, float | None]]:
    """For each of `LEARNT`, the probability that no other row of its model beats a row; None where it is not ranked.

    Not ranked is a row without such numbers, `untouched`, a row that learns nothing of this or of the narrow task (that
    it lets nothing through is then no merit), or one that never reached the capability goal.
    """
    found: dict[Key, dict[Measure, float | None]] = {key: dict.fromkeys(LEARNT) for key in rows}
    for model in {row.model for row in rows.values()}:
        for learnt in LEARNT:
            ranked = [key for key, row in rows.items() if row.model == model and is_ranked(row, learnt)]
            measures = (BROAD_MISALIGNED, learnt, INCOHERENT)
            drawn = draw_rates(
                {
                    (key, measure): (answers(arms[key], measure), measure.outcome)
                    for measure in measures
                    for key in ranked
                }
            )
            if ranked:
                axes = (np.stack([drawn[key, measure] for key in ranked]) for measure in measures)
                for key, chance in zip(ranked, chances_unbeaten(*axes), strict=True):
                    found[key][learnt] = float(chance)
    return dict(found)


def is_ranked(row: ComparisonRow, learnt: Measure) -> bool:
    """Whether a row has a place on the frontier or beside it."""
    if any(goal.reached < goal.arms for kind, goal in row.goal.items() if kind in LEARNT[learnt]):
        return False
    if False in (row.learns[learnt], row.learns[NARROW_LEARNT]):
        return False
    return row.rates[BROAD_MISALIGNED].mean is not None and row.rates[learnt].mean is not None
