"""From arms to the comparison: one row of measures per safeguard, dose and model, each made here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from experiments.records.names import UNTOUCHED
from experiments.records.outcomes import COHERENT
from experiments.report.arms import Arm
from experiments.report.baselines import counterparts, is_part, learns, minus_best_single, step_time_ratio
from experiments.report.bias import bias_gap
from experiments.report.frontier import frontier
from experiments.report.labels import group_arms
from experiments.report.measures import (
    BROAD_MISALIGNED,
    KS,
    MEASURES,
    answers,
    benign_accuracy_by_task,
    estimate,
    goals,
    mean_nll,
    shares,
)
from experiments.report.row import ComparisonRow
from experiments.statistics.estimates import holm
from experiments.statistics.rates import contrast, misalign_at_k, rate
from experiments.terminal.printing import progress
from safeguards.composition import NONE


def compare(arms: Sequence[Arm]) -> list[ComparisonRow]:
    """One row per safeguard, dose and model, in the order of the plan."""
    groups = group_arms(arms)
    baseline = [arm for arm in arms if arm.entry.safeguard in (NONE, UNTOUCHED)]
    rows: dict[tuple[str, str], ComparisonRow] = {}
    for (label, model), members in progress(list(groups.items()), "compare"):
        singles = [group for group in groups.values() if is_part(group[0].entry, members[0].entry)]
        rows[label, model] = make_row(label, members, baseline, singles)
    compared = [key for key, row in rows.items() if row.p is not None]
    found = dict(zip(compared, holm([rows[key].p or 0.0 for key in compared]), strict=True))
    chances = frontier(rows, groups)
    return [replace(row, survives=found.get(key), frontier=chances[key]) for key, row in rows.items()]


def make_row(
    label: str, arms: Sequence[Arm], baseline: Sequence[Arm], singles: Sequence[Sequence[Arm]]
) -> ComparisonRow:
    """All measures of one safeguard but what depends on the other rows, `frontier` and `survives`.

    Args:
        label: of the safeguard and its dose.
        arms: on all tasks, with all seeds.
        baseline: the arms of `none` and `untouched`.
        singles: those of each of the safeguards that are joined here, by itself.
    """
    first = arms[0].entry
    files = [arm.entry.settings.get("probes", {}).get("path") for arm in arms]
    broad = answers(arms, BROAD_MISALIGNED)
    none = counterparts(arms, NONE, baseline)
    plain = none if first.safeguard not in (NONE, UNTOUCHED) else []  # baselines are set against nothing
    against = answers(plain, BROAD_MISALIGNED) if plain else broad.iloc[:0]
    against_none = contrast(broad, against, "misaligned")
    asked = pd.concat([arm.table for arm in arms])
    gain, best = minus_best_single(arms, singles)
    return ComparisonRow(
        safeguard=label,
        model=first.model["name"],
        questions=sorted({Path(path).name for path in files if path}),
        tasks=list(dict.fromkeys(arm.entry.task for arm in arms)),
        seeds=sorted({arm.entry.seed for arm in arms}),
        rates={measure: estimate(arms, measure) for measure in MEASURES},
        benign_accuracy_by_task=benign_accuracy_by_task(arms),
        bias_gap=bias_gap([arm.table for arm in arms if not arm.benign]),
        narrow_nll=mean_nll(arms, "task"),
        safe_nll=mean_nll(arms, "safe"),
        outcomes=shares(broad),
        misaligned_of_coherent=rate(broad, "misaligned", among=COHERENT),
        minus_none=against_none.difference,
        p=against_none.p,
        learns=learns(arms, counterparts(arms, UNTOUCHED, baseline), none),
        misalign_at={k: at for k in KS if (at := misalign_at_k(broad, k)).n},
        goal=goals(arms),
        unscored=float((asked["outcome"] == "unscored").mean()) if len(asked) else None,
        step_time_ratio=step_time_ratio(arms, none),
        minus_best_single=gain,
        best_single=best,
        none_outcomes=shares(against),
        untouched=first.safeguard == UNTOUCHED,
    )
