"""Rows of a comparison for tests that need a few of their numbers only."""

from __future__ import annotations

from typing import Any

from experiments.records.measures import BENIGN_ACCURACY, MEASURES, NARROW_LEARNT, Measure
from experiments.report.row import ComparisonRow
from experiments.statistics.estimates import NOTHING, Estimate


def rate(mean: float | None, n: int = 100) -> Estimate:
    """A mean with bounds of its own."""
    return NOTHING if mean is None else Estimate(mean, 0.0, 1.0, n)


def make_row(safeguard: str, rates: dict[Measure, Estimate], learns: bool | None = None, **given: Any) -> ComparisonRow:
    """A row of which nothing is known but what is given."""
    unknown: dict[str, Any] = {
        **{"model": "m", "questions": [], "tasks": ["t"], "seeds": [0], "benign_accuracy_by_task": {}, "goal": {}},
        **dict.fromkeys(("bias_gap", "narrow_nll", "safe_nll", "minus_none", "minus_best_single"), NOTHING),
        **dict.fromkeys(("survives", "p", "unscored", "step_time_ratio", "best_single"), None),
        **{"outcomes": {}, "misaligned_of_coherent": NOTHING, "misalign_at": {}},
    }
    known = {**dict.fromkeys(MEASURES, NOTHING), **rates}
    return ComparisonRow(
        safeguard, rates=known, learns={BENIGN_ACCURACY: None, NARROW_LEARNT: learns}, **{**unknown, **given}
    )
