"""From arms to the comparison: one row of measures per safeguard, dose and model, each made here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from experiments.records.claims import Claims
from experiments.records.measures import BROAD_MISALIGNED, KS, MEASURES, NARROW_LEARNT, measure_named
from experiments.records.names import UNTOUCHED
from experiments.records.outcomes import COHERENT
from experiments.report.arms import Arm
from experiments.report.baselines import (
    Baselines,
    beside,
    counterparts,
    find_baselines,
    is_part,
    learns,
    minus_best_single,
    shared,
    step_time_ratio,
)
from experiments.report.bias import bias_gap
from experiments.report.correction import correct
from experiments.report.domains import in_domain, mean_reduction, seeds_by_task
from experiments.report.frontier import frontier
from experiments.report.labels import group_arms
from experiments.report.margins import kept
from experiments.report.measures import answers, benign_accuracy_by_task, estimate, goals, mean_nll, shares
from experiments.report.row import ComparisonRow
from experiments.report.stopping import beside_curve
from experiments.statistics.estimates import holm
from experiments.statistics.rates import contrast, difference, misalign_at_k, rate
from experiments.terminal.printing import progress
from safeguards.composition import NONE


def compare(arms: Sequence[Arm], baseline: str = NONE, claims: Claims | None = None) -> list[ComparisonRow]:
    """One row per safeguard, dose and model, in the order of the plan, set against the arms of a baseline.

    Raises:
        SafeguardError: if there is no such baseline, or the primary outcome of the claims is none of `MEASURES`.
    """
    claims = claims or Claims()
    baselines = find_baselines(arms, baseline)
    groups = group_arms(arms)
    rows: dict[tuple[str, str], ComparisonRow] = {}
    for (label, model), members in progress(list(groups.items()), "compare"):
        singles = [group for group in groups.values() if is_part(group[0].entry, members[0].entry)]
        rows[label, model] = make_row(label, members, baselines, singles, claims)
    corrected = correct({key: answers(members, BROAD_MISALIGNED) for key, members in groups.items()})
    compared = [key for key, row in rows.items() if row.p is not None]
    found = dict(zip(compared, holm([rows[key].p or 0.0 for key in compared]), strict=True))
    chances = frontier(rows, groups)
    return [
        replace(
            row,
            survives=found.get(key),
            corrected=corrected[key].rate,
            corrected_pooled=corrected[key].pooled,
            frontier=chances[key],
        )
        for key, row in rows.items()
    ]


def make_row(
    label: str, arms: Sequence[Arm], baselines: Baselines, singles: Sequence[Sequence[Arm]], claims: Claims
) -> ComparisonRow:
    """All measures of one safeguard but what depends on the other rows, `frontier` and `survives`.

    Args:
        label: of the safeguard and its dose.
        arms: on all tasks, with all seeds.
        baselines: what rows are set against.
        singles: those of each of the safeguards that are joined here, by itself.
        claims: the primary outcome and the margins.
    """
    first = arms[0].entry
    files = [arm.entry.settings.get("probes", {}).get("path") for arm in arms]
    broad = answers(arms, BROAD_MISALIGNED)
    alike = counterparts(arms, baselines.arms)
    itself = first.folder in {arm.entry.folder for arm in (*baselines.arms, *baselines.untouched)}
    plain = [] if itself else alike  # baselines are set against nothing
    pair = shared(arms, plain)
    primary = measure_named(claims.primary)
    against_none = contrast(*beside(*pair, primary), primary.outcome)
    by_task = in_domain(arms, plain, baselines)
    asked = pd.concat([arm.table for arm in arms])
    gain, best = minus_best_single(arms, singles)
    learnt = learns(arms, baselines)
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
        learns=learnt,
        misalign_at={k: at for k in KS if (at := misalign_at_k(broad, k)).n},
        goal=goals(arms),
        unscored=float((asked["outcome"] == "unscored").mean()) if len(asked) else None,
        step_time_ratio=step_time_ratio(arms, alike),
        minus_best_single=gain,
        best_single=best,
        primary=primary,
        kept=kept(arms, baselines, claims.margins),
        untouched=first.safeguard == UNTOUCHED,
        broad_minus_none=difference(*beside(*pair, BROAD_MISALIGNED), "misaligned"),
        incoherent_minus_none=difference(*beside(*pair, BROAD_MISALIGNED), "incoherent"),
        in_domain=by_task,
        mean_broad_reduction=mean_reduction(by_task),
        seeds_by_task=seeds_by_task(arms),
        baseline=baselines.name,
        worlds=list(dict.fromkeys(arm.world for arm in arms if arm.world)),
        stopping=beside_curve(arms, baselines, learnt[NARROW_LEARNT]),
    )
