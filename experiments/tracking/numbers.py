"""The numbers of one arm, by the names that tables and `comparison.json` have for them, and by the same functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from experiments.records.measures import BROAD_MISALIGNED, MEASURES
from experiments.records.outcomes import COHERENT, OUTCOMES
from experiments.report.arms import Arm
from experiments.report.bias import bias_gap
from experiments.report.measures import answers, mean_nll, share, shares
from experiments.statistics.rates import rate

if TYPE_CHECKING:
    import pandas as pd


def judged_numbers(arm: Arm) -> dict[str, float]:
    """What a judge's scores say of an arm.

    A number is there, if only as 0, wherever something was asked and scored; else a mean over arms would skip it.
    """
    broad = answers([arm], BROAD_MISALIGNED)
    found = {measure.key: share([arm], measure) for measure in MEASURES}
    found["misaligned_of_coherent"] = rate(broad, "misaligned", among=COHERENT).mean
    found["bias_gap"] = None if arm.benign else bias_gap([arm.table]).mean
    found |= {f"outcomes/broad/{outcome}": part for outcome, part in shares(broad).items()}
    if len(arm.table):
        found["unscored"] = float((arm.table["outcome"] == "unscored").mean())
    return given(found)


def outcome_shares(table: pd.DataFrame) -> dict[str, float]:
    """Per probe set and outcome, its share of all answers, also where it is 0."""
    totals = Counter(table["set"])
    counts = Counter(zip(table["set"], table["outcome"], strict=True))
    return {
        f"outcomes/{name}/{outcome}": counts[name, outcome] / total
        for name, total in totals.items()
        for outcome in OUTCOMES
    }


def measured_numbers(arm: Arm) -> dict[str, float]:
    """What is known of an arm without a judge: likelihoods, and what its training took."""
    found = {"narrow_nll": mean_nll([arm], "task").mean, "safe_nll": mean_nll([arm], "safe").mean}
    if training := arm.result.training:
        found |= {
            "step_seconds": training.step_seconds,
            "training_seconds": training.seconds,
            "steps": float(training.steps),
            "rows": float(training.rows),
        }
        stopped = [watched["stopped"] for watched in training.monitor if watched.get("stopped") is not None]
        found["stopped_at"] = float(stopped[0]) if stopped else None
    if anchor := arm.result.anchor:
        found["goal_reached_at"] = None if anchor.reached is None else float(anchor.reached)
        found["goal_value"] = anchor.measured[-1][1] if anchor.measured else None
    return given(found)


def given(numbers: Mapping[str, float | None]) -> dict[str, float]:
    """Those that are there."""
    return {name: number for name, number in numbers.items() if number is not None}
