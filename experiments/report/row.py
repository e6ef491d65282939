"""The row of a comparison: all that is known of one safeguard and dose on one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from experiments.records.measures import BENIGN_ACCURACY, BROAD_MISALIGNED, NARROW_LEARNT, Measure
from experiments.report.domains import InDomain
from experiments.report.margins import Kept
from experiments.report.measures import Goal
from experiments.report.stopping import Stopping
from experiments.statistics.estimates import NOTHING, Estimate
from safeguards.composition import NONE


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
        minus_none: of the primary outcome, the paired difference to the baseline (by default `none`), trained alike.
        p: the two-sided probability of so large a difference if there were none.
        survives: whether it is found at a family-wise error of 5 % over all rows (Holm).
        learns: whether it learns `LEAST_LEARNT` of what `none` learns; None where it cannot be told.
        misalign_at: Misalign@k by k.
        goal: by kind of task.
        unscored: share of all answers.
        step_time_ratio: against the baseline.
        minus_best_single: broad misaligned, the paired difference to the best of the joined safeguards alone.
        best_single: which that is.
        frontier: how probably no other row beats it; None where it is not ranked.
        corrected: broad misaligned, corrected for the judge's errors by labels of people; `n` are labels; not in the
            JSON where there are none.
        corrected_pooled: whether the labels are those of all rows.
        primary: the outcome that was named before the first result.
        kept: verdicts on what may be kept, for those of which there is a reference.
        untouched: whether it is the model before training; not in the JSON, nor is `baseline`.
        broad_minus_none: broad misaligned, the paired difference to the baseline, whatever the primary outcome is.
        incoherent_minus_none: broad incoherent, the paired difference to the baseline, trained alike.
        in_domain: by EM-inducing task.
        mean_broad_reduction: of these tasks, each counting alike.
        seeds_by_task: `seeds` of each task, of either kind.
        baseline: what rows are set against.
        worlds: where several are compared as draws, those that were run; not in the JSON where there are none.
        stopping: the row beside the stopping curve, if there is one; in the JSON `excess_narrow`, `excess_benign`,
            `learns_more`, `verdict`, or for `none` the `stopping_curve`, and nothing where there is none.
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
    primary: Measure = BROAD_MISALIGNED
    kept: Mapping[Measure, Kept] = field(default_factory=dict)
    corrected: Estimate = NOTHING
    corrected_pooled: bool = False
    untouched: bool = False
    broad_minus_none: Estimate = NOTHING
    incoherent_minus_none: Estimate = NOTHING
    in_domain: Mapping[str, InDomain] = field(default_factory=dict)
    mean_broad_reduction: Estimate = NOTHING
    seeds_by_task: Mapping[str, list[int]] = field(default_factory=dict)
    baseline: str = NONE
    worlds: list[str] = field(default_factory=list)
    stopping: Stopping | None = None

    def as_json(self) -> dict[str, Any]:
        """As `comparison.json` has it: the rates beside all else."""
        found: dict[str, Any] = {}
        for each in fields(self):
            value = _as_json(getattr(self, each.name))
            found |= value if each.name == "rates" else {each.name: value}
        del found["untouched"], found["baseline"], found["stopping"]
        if self.stopping:
            found |= beside_curve(self.stopping)
        if not self.corrected.n:
            del found["corrected"], found["corrected_pooled"]
        if not self.worlds:
            del found["worlds"]
        return {**found, "goal": found["goal"] or None}


def beside_curve(stopping: Stopping) -> dict[str, Any]:
    """What JSON has of a row beside the stopping curve."""
    if stopping.curve:
        points = [{"part": point.part, **_as_json(point.rates)} for point in stopping.curve]
        return {"stopping_curve": points}
    names = {NARROW_LEARNT: "excess_narrow", BENIGN_ACCURACY: "excess_benign"}
    return {
        **{names[learnt]: _as_json(found) for learnt, found in stopping.excess.items()},
        "learns_more": [learnt.key for learnt in stopping.beyond],
        "verdict": stopping.verdict,
    }


def _as_json(value: Any) -> Any:
    if isinstance(value, Estimate | Goal | Kept | InDomain):
        return {name: _as_json(part) for name, part in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(_as_json(key)): _as_json(held) for key, held in value.items()}
    if isinstance(value, tuple):
        return list(value)
    return value.key if isinstance(value, Measure) else value
