"""What a row is set against: the arms that did the same without a safeguard, or with one of those that are joined."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from experiments.records.names import UNTOUCHED
from experiments.records.sweep_file import ArmEntry
from experiments.report.arms import Arm
from experiments.report.measures import BROAD_MISALIGNED, LEARNT, LEAST_LEARNT, Measure, answers, share
from experiments.statistics.estimates import NOTHING, Estimate
from experiments.statistics.rates import difference

# Parts of the questions, in each of which the best single is the one of the others.
FOLDS = 5
# What of an arm's settings makes no other fine-tune to compare with: which safeguard it is, and what only that reads.
OWN = {"safeguard", "safeguards", "seed", "scorers", "monitor"}


def counterparts(arms: Sequence[Arm], safeguard: str, among: Sequence[Arm]) -> list[Arm]:
    """The arms of `safeguard` that do what one of `arms` does, and as it does: task, training, probes and the rest.

    What only one of two arms has does not count, since `untouched` has no training.
    """

    def like(one: dict[str, Any], other: dict[str, Any]) -> bool:
        return all(one[key] == other[key] for key in one.keys() & other.keys() - OWN)

    others = [arm for arm in among if arm.entry.safeguard == safeguard]
    return [other for other in others if any(like(arm.entry.settings, other.entry.settings) for arm in arms)]


def is_part(single: ArmEntry, whole: ArmEntry) -> bool:
    """Whether an arm has one of the safeguards that are joined in another, with the same settings.

    Of imported answers nobody knows settings: the name decides.
    """
    name, joined = single.safeguard, whole.safeguard.split("+")
    if len(joined) == 1 or name not in joined:
        return False
    one, other = single.settings, whole.settings
    alike = all(one.get(key) == other.get(key) for key in ("model", "training"))
    return bool(alike and one["safeguards"].get(name) == other["safeguards"].get(name))


def minus_best_single(arms: Sequence[Arm], singles: Sequence[Sequence[Arm]]) -> tuple[Estimate, str | None]:
    """What joining safeguards gains: the broad misalignment of the set minus that of its best single member.

    Args:
        arms: of the set.
        singles: those of each member by itself, as `is_part` finds them.

    Returns:
        The paired difference, negative if the set lets less through, and the name of that member; nothing unless every
        member of the set was run by itself. The best is chosen by other questions than it is compared by.
    """
    if len({group[0].entry.safeguard for group in singles}) < len(arms[0].entry.safeguard.split("+")):
        return NOTHING, None
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


def learns(arms: Sequence[Arm], untouched: Sequence[Arm], none: Sequence[Arm]) -> Mapping[Measure, bool | None]:
    """For each of `LEARNT`, whether arms learn `LEAST_LEARNT` of what `none` learns, both counted from `untouched`.

    None where it cannot be told. The model before training learns nothing.
    """
    found: dict[Measure, bool | None] = {}
    for measure in LEARNT:
        before, own, most = (share(each, measure) for each in (untouched, arms, none))
        gain = None if own is None or most is None else (own - (before or 0.0), most - (before or 0.0))
        found[measure] = None if gain is None or gain[1] <= 0 else gain[0] >= LEAST_LEARNT * gain[1]
        if arms[0].entry.safeguard == UNTOUCHED:
            found[measure] = False
    return found


def step_time_ratio(arms: Sequence[Arm], baseline: Sequence[Arm]) -> float | None:
    """The geometric mean of the median step time against `none` with the same model, task, seed and training."""

    def seconds(arms: Sequence[Arm]) -> list[tuple[str, float]]:
        keys = ("model", "task", "seed", "training")
        trained = [(arm.entry.settings, arm.result.training) for arm in arms]
        return [(json.dumps([own.get(key) for key in keys]), cost.step_seconds) for own, cost in trained if cost]

    plain = dict(seconds(baseline))
    ratios = [own / plain[alike] for alike, own in seconds(arms) if alike in plain]
    return float(np.exp(np.mean(np.log(ratios)))) if ratios else None
