"""What a sweep sets its rows against: one of its safeguards, whose arms another sweep may have run already."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from experiments.judges import has_scored
from experiments.planning.identity import identity_fields
from experiments.planning.plan import PlannedArm
from experiments.records.arm_files import ARMS, RESULT, check_arm, places_of, read_result
from experiments.records.drawn_file import DRAWN
from experiments.records.locks import locked
from experiments.records.names import UNTOUCHED
from experiments.records.sweep_file import PLAN, kept_sweeps
from safeguards.composition import NONE, parse
from safeguards.errors import SafeguardError
from safeguards.files import whole


class Baseline(NamedTuple):
    """The safeguard, and the sweep that has run it already, if one is named."""

    safeguard: str
    sweep: str = ""


def read_baseline(value: str) -> Baseline:
    """`baseline=` as typed: a safeguard, the name of a sweep, or both as `<sweep>:<safeguard>`.

    Raises:
        SafeguardError: for safeguards that cannot be joined.
    """
    sweep, colon, safeguard = value.rpartition(":")
    if not colon:
        try:
            return Baseline(joined(value))
        except SafeguardError:
            return Baseline(NONE, value)
    return Baseline(joined(safeguard), sweep)


def joined(safeguard: str) -> str:
    """As records call it."""
    return safeguard if safeguard == UNTOUCHED else "+".join(one.name for one in parse(safeguard)) or NONE


def check_baseline(baseline: Baseline, arms: Sequence[PlannedArm], typed: str) -> None:
    """Refuse a baseline that the sweep does not have, or of which it has several.

    Raises:
        SafeguardError: naming those there are.
    """
    settings = [identity_fields(arm.config) for arm in arms]
    own = [own for own in settings if own["safeguard"] == baseline.safeguard]
    if not own and baseline.safeguard != NONE:
        known = ", ".join(dict.fromkeys(own["safeguard"] for own in settings))
        raise SafeguardError(f"baseline={typed}: not among the safeguards of this sweep; known: {known}")
    if len({json.dumps(one["safeguards"], sort_keys=True) for one in own}) > 1:
        raise SafeguardError(f"baseline={typed}: the sweep has several doses of it; give it one")


def check_sweep(baseline: Baseline, output: Path) -> None:
    """Refuse a sweep, if one is named, that is not there.

    Raises:
        SafeguardError: naming those there are.
    """
    if baseline.sweep and not (output.parent / baseline.sweep / PLAN).is_file():
        known = ", ".join(kept_sweeps(output.parent)) or "none"
        raise SafeguardError(
            f"baseline={baseline.sweep}: no safeguard, and no sweep in {output.parent}; sweeps: {known}"
        )


def take_over(baseline: Baseline, arms: Sequence[PlannedArm], output: Path) -> list[PlannedArm]:
    """Copy the records of the baseline and of `untouched` from the other sweep, where it ran the very same arms.

    Whether they are the same, the names of their folders tell, which are digests of all that decides their answers.

    Returns:
        The arms that were copied. Those that were here are left as they are.

    Raises:
        SafeguardError: if the other sweep has none of them, or their judge had other settings.
    """
    check_sweep(baseline, output)
    other = output.parent / baseline.sweep
    wanted = [arm for arm in arms if identity_fields(arm.config)["safeguard"] in (baseline.safeguard, UNTOUCHED)]
    found = [arm for arm in wanted if read_result(other / ARMS / arm.folder.name) is not None]
    if not any(identity_fields(arm.config)["safeguard"] == baseline.safeguard for arm in found):
        raise SafeguardError(
            f"baseline={baseline.sweep}: {other} has no arm of {baseline.safeguard} with this model, task, training, "
            "seed, questions and looks; run it here, without baseline=, or with the settings of that sweep"
        )
    taken = [arm for arm in found if read_result(arm.folder) is None]
    for arm in taken:
        source = other / ARMS / arm.folder.name
        check_arm(source)
        for judge in arm.config.judges:
            has_scored(source, judge)  # refuses one that has, with other settings
    for arm in taken:
        source = other / ARMS / arm.folder.name
        with locked(output, arm.folder.name):
            for look in reversed(places_of(source)):  # the arm itself, which then counts as done, comes last
                copy(look, arm.folder / look.relative_to(source))
    return taken


def copy(source: Path, place: Path) -> None:
    """The records of an arm, or of a look, without its adapter and without answers under way.

    `result.json`, by which it counts as done, comes last.
    """
    place.mkdir(parents=True, exist_ok=True)
    files = [path for path in source.iterdir() if path.is_file() and path.name not in DRAWN]
    for path in sorted(files, key=lambda path: path.name == RESULT):
        with whole(place / path.name) as unfinished:
            shutil.copyfile(path, unfinished)
