"""The worlds of one sweep: arms on models that differ in nothing but the world are draws of one model.

The first world of each such model lends the others its settings, so that their labels and rows are the same. What was
run in one world only is left as it is.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pandas as pd

from experiments.records.sweep_file import ArmEntry

# What of a model makes it another world: the seed by which its entries are dealt, and, where each world has a sweep of
# its own, its name and where its weights are.
WORLD = "world"
OF_A_WORLD = ("name", "path", WORLD)


def as_one_model(entries: Sequence[ArmEntry]) -> list[tuple[ArmEntry, str]]:
    """Each arm on the model of the first world, and its world, such as "1000"; empty where the model has one only."""
    models: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    keys = [(json.dumps(but_for_world(entry.model), sort_keys=True), world_of(entry)) for entry in entries]
    for (model, world), entry in zip(keys, entries, strict=True):
        models[model].setdefault(world, entry.model)
    found = []
    for (model, world), entry in zip(keys, entries, strict=True):
        first = next(iter(models[model].values()))
        several = len(models[model]) > 1
        found.append((ArmEntry(entry.folder, {**entry.settings, "model": first}), world) if several else (entry, ""))
    return found


def world_of(entry: ArmEntry) -> str:
    """As one types it; a record without one is of the usual world."""
    return str(entry.model.get(WORLD, 0))


def but_for_world(model: dict[str, Any]) -> dict[str, Any]:
    """All settings of a model that tell it from others."""
    return {key: value for key, value in model.items() if key != WORLD}


def said(table: pd.DataFrame, place: int) -> pd.DataFrame:
    """The table with its world, by its place among them."""
    return table.assign(world=place)
