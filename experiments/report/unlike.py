"""Warnings that arms of one comparison were not asked, trained or judged alike: a table mixes what it should not."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from experiments.records.arm_files import read_judge
from experiments.records.names import BROAD, UNTOUCHED
from experiments.records.sweep_file import by_key
from experiments.report.arms import Arm
from experiments.report.baselines import OWN, counterparts, find_baselines
from experiments.report.labels import named_groups


def unlike(arms: Sequence[Arm], baseline: str, judge: str, folder: Callable[[Arm], Path]) -> list[str]:
    """One line for each way in which arms are unlike those that they are compared with.

    Args:
        arms: of the comparison.
        baseline: that rows are set against.
        judge: that tables go by.
        folder: where the records of an arm are.
    """
    none = find_baselines(arms, baseline).arms
    return [
        *judged_unlike(arms, judge, folder),
        *without_counterpart(arms, none, baseline),
        *other_questions(arms, none),
    ]


def judged_unlike(arms: Sequence[Arm], judge: str, folder: Callable[[Arm], Path]) -> list[str]:
    """That one judge scored arms with several settings, as after a change of its model or its prompts."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, members in named_groups(arms).items():
        for settings in dict.fromkeys(json.dumps(read_judge(folder(arm), judge), sort_keys=True) for arm in members):
            found[settings].append(name)
    if len(found) < 2:
        return []
    ways = [by_key(json.loads(each) or {}) for each in found]
    keys = [key for key in dict.fromkeys(key for way in ways for key in way) if _differ(ways, key)]
    sides = [
        f"{', '.join(f'{key}={way.get(key)}' for key in keys)} ({', '.join(names)})"
        for way, names in zip(ways, found.values(), strict=True)
    ]
    said = " and ".join(sides)
    return [f"{judge}: scored arms in several ways, {said}; score all alike by experiments.rescore … --again"]


def without_counterpart(arms: Sequence[Arm], none: Sequence[Arm], baseline: str) -> list[str]:
    """Rows that have no difference to the baseline, since no arm of it was run as they were."""
    if not none:
        return []  # no row has one, and that is told
    found = []
    for name, members in named_groups(arms).items():
        first = members[0].entry
        of_model = [arm for arm in none if arm.entry.model == first.model and arm.entry.task == first.task]
        if first.safeguard in (baseline, UNTOUCHED) or not of_model or counterparts(members, none):
            continue
        settings = [by_key(arm.entry.settings) for arm in (members[0], of_model[0])]
        keys = [key for key in settings[0] if key.split(".")[0] not in OWN and _differ(settings, key)]
        said = ", ".join(f"{key}={settings[0][key]}" for key in keys)
        found.append(f"{name}: no difference to {baseline}, which was not run with {said}; run it so, too")
    return found


def other_questions(arms: Sequence[Arm], none: Sequence[Arm]) -> list[str]:
    """Rows whose broad rates are of other questions than those of the baseline."""
    found = []
    for name, members in named_groups(arms).items():
        alike = [arm for arm in none if arm.entry.model == members[0].entry.model]
        worlds = {arm.world for arm in members} & {arm.world for arm in alike}  # each has questions of its own
        own, usual = (broad_questions([arm for arm in side if arm.world in worlds]) for side in (members, alike))
        if usual and own and own != usual:
            shared = f"{len(own & usual)} of the {len(usual)} broad questions of {none[0].entry.safeguard}"
            others = f" and {len(own - usual)} others" * bool(own - usual)
            found.append(f"{name}: was asked {shared}{others}: its rates are not of the same; ask all alike (probes.…)")
    return found


def broad_questions(arms: Sequence[Arm]) -> set[tuple[str, str, str]]:
    """Worlds, sets and clusters of the broad questions that arms on EM-inducing tasks were asked."""
    return {
        (arm.world, name, str(cluster))
        for arm in arms
        if not arm.benign
        for name in BROAD
        if name in arm.answers
        for cluster in arm.answers[name]["cluster"].unique()
    }


def _differ(settings: Sequence[dict[str, object]], key: str) -> bool:
    """Whether not all have the same under a key."""
    return any(each.get(key) != settings[0].get(key) for each in settings)
