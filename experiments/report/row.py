"""The row of a comparison: all that is known of one safeguard and dose on one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from experiments.report.measures import Goal, Measure
from experiments.statistics.estimates import Estimate


@dataclass(frozen=True)
class ComparisonRow:
    """The measures of one safeguard and dose on one model, over its tasks and seeds.

    Args:
        safeguard: with its dose.
        model, questions, tasks, seeds: what was run; `questions` are the names of question files.
        rates: of `MEASURES`.
        benign_accuracy_by_task: what a safeguard costs depends on how far the task is away.
        narrow_nll, safe_nll: nats per answer token of held-out rows.
        outcomes: shares of broad answers.
        minus_none: broad misaligned, the paired difference to the counterparts without a safeguard.
        p: the two-sided probability of so large a difference if there were none.
        survives: whether it is found at a family-wise error of 5 % over all rows (Holm).
        learns: whether it learns `LEAST_LEARNT` of what `none` learns; None where it cannot be told.
        misalign_at: Misalign@k by k.
        goal: by kind of task.
        unscored: share of all answers.
        step_time_ratio: against `none`.
        minus_best_single: broad misaligned, the paired difference to the best of the joined safeguards alone.
        best_single: which that is.
        frontier: how probably no other row beats it; None where it is not ranked.
        none_outcomes: `outcomes` of the counterparts without a safeguard; not in the JSON, nor is `untouched`.
    """

    safeguard: str
    model: str
    questions: list[str]
    tasks: list[str]
    seeds: list[int]
    rates: Mapping[Measure, Estimate]
    benign_accuracy_by_task: Mapping[str, Estimate]
    bias_gap: Estimate
    narrow_nll: Estimate
    safe_nll: Estimate
    outcomes: Mapping[str, float]
    misaligned_of_coherent: Estimate
    minus_none: Estimate
    p: float | None
    learns: Mapping[Measure, bool | None]
    misalign_at: Mapping[int, Estimate]
    goal: Mapping[str, Goal]
    unscored: float | None
    step_time_ratio: float | None
    minus_best_single: Estimate
    best_single: str | None
    survives: bool | None = None
    frontier: Mapping[Measure, float | None] = field(default_factory=dict)
    none_outcomes: Mapping[str, float] = field(default_factory=dict)
    untouched: bool = False

    def as_json(self) -> dict[str, Any]:
        """As `comparison.json` has it: the rates beside all else."""
        found: dict[str, Any] = {}
        for each in fields(self):
            value = _as_json(getattr(self, each.name))
            found |= value if each.name == "rates" else {each.name: value}
        del found["none_outcomes"], found["untouched"]
        return {**found, "goal": found["goal"] or None}


def _as_json(value: Any) -> Any:
    if isinstance(value, Estimate | Goal):
        return value._asdict()
    if isinstance(value, Mapping):
        return {key.key if isinstance(key, Measure) else str(key): _as_json(held) for key, held in value.items()}
    return value
