"""Rows that differ in one number only, the dose: each family a line in order of its dose."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.records.names import UNTOUCHED
from experiments.records.sweep_file import by_key
from experiments.report.arms import Arm
from experiments.report.baselines import counterparts
from experiments.report.doses import but_for_dose
from experiments.report.row import ComparisonRow
from safeguards.composition import NONE


@dataclass(frozen=True)
class Family:
    """One safeguard, or a set of them, on one model, of which one setting takes several values.

    Args:
        safeguard, model: of all its rows.
        setting: that is the dose, such as `kl.weight`.
        doses: its values, rising.
        rows: for each, the place of its row among those of the comparison.
    """

    safeguard: str
    model: str
    setting: str
    doses: Sequence[float]
    rows: Sequence[int]

    @property
    def short(self) -> str:
        """The setting without the safeguard that has it, where there is only one."""
        return self.setting.removeprefix(f"{self.safeguard}.")


def families_of(rows: Sequence[ComparisonRow], groups: Sequence[Sequence[Arm]]) -> list[Family]:
    """Every family of two doses and more; a row is in one at most.

    Where several settings were swept, the one of most values is the dose, and each combination of the others makes a
    family of its own.

    Args:
        rows: of a comparison.
        groups: the arms of each row.
    """
    alike: dict[tuple[str, str, str], list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for place, (row, arms) in enumerate(zip(rows, groups, strict=True)):
        first = arms[0].entry
        if first.safeguard not in (NONE, UNTOUCHED):
            alike[first.safeguard, row.model, but_for_dose(first)].append((place, by_key(first.settings["safeguards"])))
    return [family for members in alike.values() for family in _split(rows, groups, members)]


def references(groups: Sequence[Sequence[Arm]]) -> list[int | None]:
    """For each row, the place of that of `none` which was trained and asked as it was, if there is one."""
    nones = [place for place, arms in enumerate(groups) if arms[0].entry.safeguard == NONE]
    return [next((place for place in nones if counterparts(arms, groups[place])), None) for arms in groups]


def _split(
    rows: Sequence[ComparisonRow], groups: Sequence[Sequence[Arm]], members: Sequence[tuple[int, Mapping[str, Any]]]
) -> list[Family]:
    """The families of rows whose settings differ in their safeguard alone."""
    keys = dict.fromkeys(key for _, settings in members for key in settings)
    doses = {key: len({json.dumps(own.get(key)) for _, own in members}) for key in keys}
    numbers = [key for key in keys if doses[key] > 1 and all(_is_number(own.get(key)) for _, own in members)]
    if not numbers:
        return []
    setting = max(numbers, key=lambda key: doses[key])
    others: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for place, own in members:
        rest = json.dumps({key: own.get(key) for key in keys if key != setting}, sort_keys=True)
        others[rest].append((float(own[setting]), place))
    found = []
    for line in others.values():
        values, places = zip(*sorted(line), strict=True)
        if len(set(values)) == len(values) > 1:
            first = groups[places[0]][0].entry
            found.append(Family(first.safeguard, rows[places[0]].model, setting, values, places))
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
