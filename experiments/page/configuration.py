"""What the arms of a comparison share, in what they differ, and who judged them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from experiments.records.arm_files import read_judge
from experiments.records.names import UNTOUCHED
from experiments.records.sweep_file import IMPORTED, ArmEntry, by_key
from experiments.report.arms import Arm
from experiments.report.labels import named_groups
from experiments.report.report import Report
from experiments.report.world_draws import OF_A_WORLD, WORLD
from safeguards.composition import NONE, registry

# What every arm has of its own, and the columns of differences say anyway.
OWN = ("seed", "safeguard", "task.name")


def configuration(report: Report) -> dict[str, Any]:
    """As the page shows it."""
    told_apart = OF_A_WORLD if report.wanted.worlds else (WORLD,)
    flat = {arm.entry.folder: flatten(arm, told_apart) for arm in report.arms}
    shared = in_common(list(flat.values()))
    worlds = worlds_of(report)
    said = [["worlds", ", ".join(worlds)]] if worlds else []
    return {
        "command": command(report),
        "version": installed(),
        "shared": [*said, *([key, text(value)] for key, value in shared.items())],
        "differing": differing(report.arms, flat, shared),
        "judge": judge_settings(report),
    }


def flatten(arm: Arm, told_apart: Sequence[str]) -> dict[str, Any]:
    """All settings of an arm by their whole keys; of a world among several without those of the model that tell it."""
    of_a_world = {f"model.{key}" for key in told_apart} if arm.world else set()
    return {key: value for key, value in by_key(arm.entry.settings).items() if key not in of_a_world}


def in_common(settings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Those that have one value in all arms that read them; `untouched` reads nothing of a training."""
    values: dict[str, list[Any]] = {}
    for key, value in (item for own in settings for item in own.items() if item[0] not in OWN):
        values.setdefault(key, []).append(value)
    return {key: found[0] for key, found in values.items() if all(value == found[0] for value in found)}


def differing(arms: Sequence[Arm], flat: Mapping[str, Mapping[str, Any]], shared: Mapping[str, Any]) -> dict[str, Any]:
    """A table of the settings in which arms differ, with one row for arms that differ in seeds and worlds only."""
    labels = {arm.entry.folder: name for name, members in named_groups(arms).items() for arm in members}
    keys = list(dict.fromkeys(key for own in flat.values() for key in own if key not in (*shared, *OWN)))
    alike: dict[str, list[Arm]] = {}
    for arm in arms:
        own = flat[arm.entry.folder]
        values = [labels[arm.entry.folder], arm.entry.task, *(text(own[key]) if key in own else "" for key in keys)]
        alike.setdefault(json.dumps(values), []).append(arm)
    seeds = [", ".join(map(str, dict.fromkeys(arm.entry.seed for arm in members))) for members in alike.values()]
    rows = [[*json.loads(values)[:2], own, *json.loads(values)[2:]] for values, own in zip(alike, seeds, strict=True)]
    only = "seeds and worlds" if any(arm.world for arm in arms) else "seeds"
    caption = f"A row for arms that differ in their {only} only; an empty cell: not read there."
    headings = ["safeguard", "task", "seeds", *keys]
    return {"title": "Arms, and in what they differ", "caption": caption, "headings": headings, "rows": rows}


def judge_settings(report: Report) -> list[list[str]]:
    """Those of the judge, where they are known; where arms had several, each value."""
    known = [read_judge(report.folder(arm), report.judge) for arm in report.arms]
    flat = [by_key(settings) for settings in known if settings]
    values = {
        key: unique(own[key] for own in flat if key in own) for key in dict.fromkeys(k for own in flat for k in own)
    }
    return [["judge", report.judge], *([key, " | ".join(found)] for key, found in values.items())]


def command(report: Report) -> str:
    """The names, doses, tasks and seeds of the arms as a command; other settings it leaves away."""
    name = report.output.name
    if report.wanted.worlds:
        worlds = ",".join(each.name for each in report.wanted.worlds)
        return shlex.join(["python", "-m", "experiments.tables", f"name={name}", f"worlds={worlds}"])
    if report.sweeps[0].judge == IMPORTED:
        return shlex.join(["python", "-m", "experiments.import_answers", "FOLDER", f"name={name}"])
    entries = [arm.entry for arm in report.arms]
    safeguards = [each for each in unique(entry.safeguard for entry in entries) if each not in (NONE, UNTOUCHED)]
    words = {
        "name": [name],
        "safeguard": safeguards or [NONE],
        "task": unique(entry.task for entry in entries),
        "seed": unique(str(entry.seed) for entry in entries),
        "model": unique(str(entry.model["name"]) for entry in entries),
        **({"model.world": known} if (known := worlds_of(report)) else {}),
        **doses(entries),
    }
    typed = [f"{key}={','.join(values)}" for key, values in words.items()]
    return shlex.join(["python", "-m", "experiments.sweep", *typed])


def worlds_of(report: Report) -> list[str]:
    """Those that are compared; none if there is only one."""
    return unique(arm.world for arm in report.arms if arm.world)


def doses(entries: Sequence[ArmEntry]) -> dict[str, list[str]]:
    """The settings of safeguards that are not everywhere what a safeguard has by itself, each with its values."""
    found: dict[str, list[str]] = {}
    usual: dict[str, Any] = {}
    for entry in entries:
        named = entry.settings["safeguards"]
        usual |= by_key(
            {name: vars(registry()[name].Settings()) for name in named if name in registry()}, "safeguards."
        )
        for key, value in by_key(named, "safeguards.").items():
            found[key] = unique([*found.get(key, []), value])
    return {key: values for key, values in found.items() if key not in usual or values != [text(usual[key])]}


def installed() -> str:
    """The version of this package that made the page."""
    try:
        return version("em-safeguards")
    except PackageNotFoundError:  # run from a clone
        return "not installed"


def unique(values: Iterable[Any]) -> list[str]:
    """As text, each once, in order."""
    return list(dict.fromkeys(map(text, values)))


def text(value: Any) -> str:
    """A setting as one types it."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
