"""Arms of several sweeps, of which each is a world, as those of one comparison; `world_draws` has those of one sweep.

A world is then what a seed is elsewhere, a draw among others: fine-tunes and questions of one world count together,
differences are paired by world, and intervals are for other worlds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from experiments.records.sweep_file import ArmEntry, read_sweep
from experiments.report.arms import Arm, in_world, read_arms
from experiments.report.world_draws import OF_A_WORLD
from safeguards.errors import SafeguardError


def read_over_worlds(
    outputs: Sequence[Path], judge: str | None, everything: bool, warn: Callable[[str], object]
) -> list[Arm]:
    """All arms of all sweeps that are done and scored; what only tells worlds apart is the same in their settings.

    Args:
        outputs: of the sweeps, which have one model each.
        judge, everything, warn: as for `read_arms`.

    Raises:
        SafeguardError: naming a sweep of which nothing is done, or that is no other world of the same kind of model, or
            goes by another judge.
    """
    found: list[Arm] = []
    models: dict[str, dict[str, Any]] = {}
    for place, output in enumerate(outputs):
        arms = read_arms(output, judge, everything, warn)
        if not arms:
            by = f" and scored by {judge}" if judge else ""
            raise SafeguardError(f"{output}: has no arm that is done{by}; run it first, or leave it away")
        refuse_several(output, arms)
        models[output.name] = the_model(output, [arm.entry for arm in arms])
        refuse_unlike(outputs[: place + 1], models, judge)
        found += [of_world(arm, output.name, place, models) for arm in arms]
    return found


def the_model(output: Path, entries: Sequence[ArmEntry]) -> dict[str, Any]:
    """That of a sweep.

    Raises:
        SafeguardError: if it has several.
    """
    models = {json.dumps(entry.model, sort_keys=True): entry.model for entry in entries}
    if len(models) > 1:
        several = ", ".join(model["name"] for model in models.values())
        raise SafeguardError(f"{output}: has several models ({several}); run each under its own name=…")
    (model,) = models.values()
    return model


def refuse_several(output: Path, arms: Sequence[Arm]) -> None:
    """Refuse a sweep that has several worlds by itself.

    Raises:
        SafeguardError: naming them.
    """
    if worlds := ", ".join(dict.fromkeys(arm.world for arm in arms if arm.world)):
        raise SafeguardError(
            f"{output}: has several worlds by itself ({worlds}); compare it by name={output.name}, without worlds=…, "
            "and run the others under that name"
        )


def refuse_unlike(outputs: Sequence[Path], models: dict[str, dict[str, Any]], judge: str | None) -> None:
    """Refuse a last sweep that cannot be set beside the first, or is one of those before it.

    Raises:
        SafeguardError: naming both.
    """
    first, *others = outputs
    for last in others[-1:]:
        one, two = models[first.name], models[last.name]
        if unlike := [key for key in one.keys() | two.keys() if one.get(key) != two.get(key) and key not in OF_A_WORLD]:
            raise SafeguardError(
                f"{first.name}, {last.name}: differ in model.{', model.'.join(sorted(unlike))}, so they are no two "
                "worlds of one kind of model; experiments.validity sets different models beside each other"
            )
        judges = [judge or read_sweep(output).judge for output in (first, last)]
        if judges[0] != judges[1]:
            raise SafeguardError(
                f"{first.name} goes by {judges[0]}, {last.name} by {judges[1]}; go by one, with judge=…"
            )
        for name, model in models.items():
            if name != last.name and all(model.get(key) == two.get(key) for key in ("path", "world")):
                raise SafeguardError(f"{name} and {last.name} are one world, of the same model; name one of them")


def of_world(arm: Arm, world: str, place: int, models: dict[str, dict[str, Any]]) -> Arm:
    """An arm of one sweep of several, on the model of the first."""
    own, common = arm.entry.model, next(iter(models.values()))
    settings = {key: replaced(value, own.get("path"), common.get("path")) for key, value in arm.entry.settings.items()}
    return in_world(arm, ArmEntry(f"{world}/{arm.entry.folder}", {**settings, "model": common}), world, place)


def replaced(value: Any, old: str | None, new: str | None) -> Any:
    """A setting in which a path that lies in the model's own folder lies in that of the first world."""
    if isinstance(value, dict):
        return {key: replaced(each, old, new) for key, each in value.items()}
    if isinstance(value, str) and old and new and (value == old or value.startswith(f"{old}/")):
        return f"{new}{value[len(old) :]}"
    return value
