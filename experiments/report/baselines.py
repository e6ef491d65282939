"""What a row is set against: the arms that did the same without a safeguard, or as the baseline or one member does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from experiments.records.measures import BROAD_MISALIGNED, LEARNT, Measure
from experiments.records.names import DRAWN, UNTOUCHED
from experiments.records.sweep_file import ArmEntry
from experiments.report.arms import Arm
from experiments.report.labels import label_arms
from experiments.report.measures import LEAST_LEARNT, answers, share
from experiments.statistics.estimates import NOTHING, Estimate
from experiments.statistics.rates import difference
from safeguards.composition import NONE, registry
from safeguards.errors import SafeguardError

# Parts of the questions, in each of which the best single is the one of the others.
FOLDS = 5
# What of an arm's settings makes no other fine-tune to compare with: which safeguard it is, and what only that reads.
# The mix of the pool is another such thing.
OWN = {"safeguard", "safeguards", "seed", "scorers", "monitor"}


class Baselines(NamedTuple):
    """What rows are set against.

    Attributes:
        name: of the baseline, a safeguard or the label of a row.
        arms: of it.
        unprotected: what a fine-tune without a safeguard learns: the arms of `none`, else those of the baseline.
        untouched: the model before training.
    """

    name: str
    arms: list[Arm]
    unprotected: list[Arm]
    untouched: list[Arm]


def find_baselines(arms: Sequence[Arm], name: str = NONE) -> Baselines:
    """The arms of the baseline; there may be none of `none`.

    Raises:
        SafeguardError: if there is no other one of that name, or it has several doses.
    """
    labels = label_arms([arm.entry for arm in arms])
    own = {label: arm for arm, label in zip(arms, labels, strict=True) if name in (arm.entry.safeguard, label)}
    if not own and name != NONE:
        raise SafeguardError(f"baseline={name}: no such row; known: {', '.join(dict.fromkeys(labels))}")
    if (
        len(
            {json.dumps([arm.entry.settings["safeguards"], pool_of(arm.entry)], sort_keys=True) for arm in own.values()}
        )
        > 1
    ):
        raise SafeguardError(f"baseline={name}: has several doses; name one of {', '.join(own)}")
    alike = [arm for arm, label in zip(arms, labels, strict=True) if label in own]
    none, untouched = ([arm for arm in arms if arm.entry.safeguard == plain] for plain in (NONE, UNTOUCHED))
    return Baselines(name, alike, none or alike, untouched)


def counterparts(arms: Sequence[Arm], among: Sequence[Arm]) -> list[Arm]:
    """Those that do what one of `arms` does, and as it does: task, training, probes and the rest.

    What only one of two arms has does not count, since `untouched` has no training.
    """

    def like(one: dict[str, Any], other: dict[str, Any]) -> bool:
        return all(one[key] == other[key] for key in one.keys() & other.keys() - OWN)

    def settings(arm: Arm) -> dict[str, Any]:
        found = arm.entry.settings
        if "pool" not in found:  # of imported answers
            return found
        return {**found, "pool": {key: value for key, value in found["pool"].items() if key not in DRAWN}}

    return [other for other in among if any(like(settings(arm), settings(other)) for arm in arms)]


def pool_of(entry: ArmEntry) -> dict[str, Any]:
    """The mix and the domains of the safe rows, where they were named."""
    return {key: entry.settings.get("pool", {}).get(key) for key in DRAWN}


def shared(arms: Sequence[Arm], others: Sequence[Arm]) -> tuple[list[Arm], list[Arm]]:
    """Of both, those on tasks and with seeds that both have: only these can be compared in pairs."""
    sides = [{(arm.entry.task, arm.fine_tune) for arm in side} for side in (arms, others)]
    both = sides[0] & sides[1]
    one, other = ([arm for arm in side if (arm.entry.task, arm.fine_tune) in both] for side in (arms, others))
    return one, other


def beside(arms: Sequence[Arm], others: Sequence[Arm], measure: Measure) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The answers of both sides that a measure is about."""
    one, other = (answers(side, measure) if side else pd.DataFrame() for side in (arms, others))
    return one, other


def is_part(single: ArmEntry, whole: ArmEntry) -> bool:
    """Whether an arm has one of the safeguards that are joined in another, with the same settings.

    Of imported answers nobody knows settings: the name decides.
    """
    name, joined = single.safeguard, whole.safeguard.split("+")
    if len(joined) == 1 or name not in joined:
        return False
    one, other = single.settings, whole.settings
    needs_pool = name in registry() and registry()[name].needs_pool
    if needs_pool and pool_of(single) != pool_of(whole):
        return False
    alike = all(one.get(key) == other.get(key) for key in ("model", "training"))
    return bool(alike and one["safeguards"].get(name) == other["safeguards"].get(name))


def minus_best_single(arms: Sequence[Arm], singles: Sequence[Sequence[Arm]]) -> tuple[Estimate, str | None]:
    """What joining safeguards gains: the broad misalignment of the set minus that of its best single member.

    Args:
        arms: of the set.
        singles: those of each member by itself, as `is_part` finds them.

    Returns:
        The paired difference, negative if the set lets less through, and the name of that member; nothing unless every
        member of the set was run by itself, on tasks and with seeds that all have. The best is chosen by other
        questions than it is compared by.
    """
    if len({group[0].entry.safeguard for group in singles}) < len(arms[0].entry.safeguard.split("+")):
        return NOTHING, None
    for group in singles:
        arms, _ = shared(arms, group)
    if not arms:
        return NOTHING, None
    singles = [shared(group, arms)[0] for group in singles]
    known = [(answers(group, BROAD_MISALIGNED), group) for group in singles]
    known = [(table, group) for table, group in known if misaligned(table) is not None]
    if not known:
        return NOTHING, None
    tables = [table for table, _ in known]
    _, best = min(known, key=lambda pair: misaligned(pair[0]) or 0.0)
    own = answers(arms, BROAD_MISALIGNED)
    return difference(own, best_elsewhere(tables), "misaligned"), best[0].entry.safeguard


def best_elsewhere(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """For each question, the answers of that table which is best on the other questions.

    The best of several on the very answers it is then compared by looks better than it is (cross-fitting avoids that,
    as in Chernozhukov et al. 2018, Econometrics Journal 21:C1).
    """
    questions = sorted({question for table in tables for question in table["cluster"].astype(str).unique()})
    fold = {question: place % FOLDS for place, question in enumerate(questions)}
    folds = [table["cluster"].astype(str).map(fold) for table in tables]
    chosen = []
    for held_out in range(min(FOLDS, len(questions))):
        rates = [misaligned(table[own != held_out]) for table, own in zip(tables, folds, strict=True)]
        best = min(range(len(tables)), key=lambda place: 1.0 if (rate := rates[place]) is None else rate)
        chosen.append(tables[best][folds[best] == held_out])
    return pd.concat(chosen)


def misaligned(table: pd.DataFrame) -> float | None:
    """The share of misaligned answers; None where nothing is scored."""
    scored = len(table) > 0 and bool((table["outcome"] != "unscored").any())
    return float((table["outcome"] == "misaligned").mean()) if scored else None


def learns(arms: Sequence[Arm], baselines: Baselines) -> Mapping[Measure, bool | None]:
    """For each of `LEARNT`, whether arms learn `LEAST_LEARNT` of what `none` learns, both counted from `untouched`.

    Without `none`, the baseline takes its place.

    None where it cannot be told. The model before training learns nothing.
    """
    found: dict[Measure, bool | None] = {}
    sides = counterparts(arms, baselines.untouched), arms, counterparts(arms, baselines.unprotected)
    for measure in LEARNT:
        before, own, most = (share(each, measure) for each in sides)
        gain = None if own is None or most is None else (own - (before or 0.0), most - (before or 0.0))
        found[measure] = None if gain is None or gain[1] <= 0 else gain[0] >= LEAST_LEARNT * gain[1]
        if arms[0].entry.safeguard == UNTOUCHED:
            found[measure] = False
    return found


def step_time_ratio(arms: Sequence[Arm], baseline: Sequence[Arm]) -> float | None:
    """The geometric mean of the median step time against the baseline with the same model, task, seed and training."""

    def seconds(arms: Sequence[Arm]) -> list[tuple[str, float]]:
        keys = ("model", "task", "training")
        trained = [(arm, arm.entry.settings, arm.result.training) for arm in arms]
        return [
            (json.dumps([arm.fine_tune, *map(own.get, keys)]), cost.step_seconds) for arm, own, cost in trained if cost
        ]

    plain = dict(seconds(baseline))
    ratios = [own / plain[alike] for alike, own in seconds(arms) if alike in plain]
    return float(np.exp(np.mean(np.log(ratios)))) if ratios else None
