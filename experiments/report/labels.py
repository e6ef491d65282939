"""What rows are called: the safeguard, and the settings that were swept."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from experiments.records.sweep_file import ArmEntry, by_key
from experiments.report.arms import Arm


def group_arms(arms: Sequence[Arm]) -> dict[tuple[str, str], list[Arm]]:
    """The arms of each row, by its label and its model."""
    groups: dict[tuple[str, str], list[Arm]] = defaultdict(list)
    for arm, label in zip(arms, label_arms([arm.entry for arm in arms]), strict=True):
        groups[label, json.dumps(arm.entry.model)].append(arm)
    return dict(groups)


def label_arms(entries: Sequence[ArmEntry]) -> list[str]:
    """The safeguard's name, with the settings in which its arms on the same model and task differ."""
    flat = [by_key({k: v for k, v in entry.settings.items() if k not in ("seed", "model")}) for entry in entries]
    alike = [json.dumps([entry.safeguard, entry.model, entry.task]) for entry in entries]
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for group, own in zip(alike, flat, strict=True):
        groups[group].append(own)
    swept = {group: _swept(members) for group, members in groups.items()}
    labels = []
    for entry, group, own in zip(entries, alike, flat, strict=True):
        doses = [f"{key.removeprefix('safeguards.')}={value}" for key, value in own.items() if key in swept[group]]
        labels.append(" ".join([entry.safeguard, *doses]))
    return labels


def _swept(settings: Sequence[dict[str, Any]]) -> set[str]:
    """The settings that are not everywhere the same."""
    first = settings[0]
    return {key for key in set().union(*settings) if any(own.get(key) != first.get(key) for own in settings)}
