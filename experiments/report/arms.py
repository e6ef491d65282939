"""Arms that are done, as their records have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from experiments.records.arm_files import ARMS, Result, check_arm, judges_of, look_folder, places_of, read_result
from experiments.records.files import DamagedError
from experiments.records.names import BENIGN_TASK
from experiments.records.preferences import Preference, read_preferences
from experiments.records.sweep_file import ArmEntry, read_sweep
from experiments.records.table import read_table
from experiments.report.correction import with_labels
from experiments.report.world_draws import as_one_model, said
from experiments.terminal.printing import progress


class Look(NamedTuple):
    """Scored answers of an arm on its way: after which part of its training, and which."""

    part: float
    table: pd.DataFrame


@dataclass(frozen=True)
class Arm:
    """An arm that is done: its entry in the plan, its result, its scored answers and what it finds of choices.

    `looks` are those on its way, in order; none if the judge has not scored all of them. `world` is which it is of
    several in one comparison, of one sweep or of several, and otherwise empty.
    """

    entry: ArmEntry
    result: Result
    table: pd.DataFrame
    preferences: Sequence[Preference] = ()
    looks: Sequence[Look] = ()
    world: str = ""

    @property
    def fine_tune(self) -> tuple[str, int]:
        """What two arms on one task have in common that can be compared in pairs: the world and the seed."""
        return self.world, self.entry.seed

    @property
    def draw(self) -> str:
        """Of what it is one among others: the world, if there are several, else the seed."""
        return self.world or str(self.entry.seed)

    @property
    def benign(self) -> bool:
        """Whether its task is one that must stay learnable."""
        return self.result.task_kind == BENIGN_TASK

    @cached_property
    def answers(self) -> dict[str, pd.DataFrame]:
        """The scored answers by probe set."""
        return {str(name): part for name, part in self.table.groupby("set", observed=True)}


def read_arms(
    output: Path, judge: str | None = None, everything: bool = False, warn: Callable[[str], object] = print
) -> list[Arm]:
    """All planned arms that are done and scored by a judge; those of several worlds as draws of one model.

    Args:
        output: of the sweep.
        judge: by default, the one that the sweep goes by.
        everything: also arms that only earlier commands asked for.
        warn: called with a line for each arm that is left out because its records are damaged.
    """
    sweep = read_sweep(output)
    judge = judge or sweep.judge
    arms = []
    for entry in progress(sweep.planned(everything), "read arms"):
        try:
            if arm := read_arm(output / ARMS / entry.folder, entry, judge):
                arms.append(arm)
        except DamagedError as error:
            warn(f"left out: {error}")
    return in_worlds(arms)


def in_worlds(arms: Sequence[Arm]) -> list[Arm]:
    """The arms of a sweep, each of which says its world where its model was run in several."""
    split = as_one_model([arm.entry for arm in arms])
    places = {world: place for place, world in enumerate(dict.fromkeys(world for _, world in split if world))}
    return [
        in_world(arm, entry, world, places[world]) if world else arm
        for arm, (entry, world) in zip(arms, split, strict=True)
    ]


def in_world(arm: Arm, entry: ArmEntry, world: str, place: int) -> Arm:
    """An arm whose answers say the world, and whose settings do not.

    Args:
        arm: as its records have it.
        entry: the same in the plan, on the model of the first world.
        world: what it is called.
        place: of it among the worlds.
    """
    looks = [look._replace(table=said(look.table, place)) for look in arm.looks]
    return replace(arm, entry=entry, table=said(arm.table, place), looks=looks, world=world)


def read_arm(folder: Path, entry: ArmEntry, judge: str) -> Arm | None:
    """One arm; None if it is not done, or not scored by this judge.

    Raises:
        DamagedError: if its records are damaged.
    """
    result = read_result(folder)
    if result is None or judge not in judges_of(folder):
        return None
    check_arm(folder)
    table = with_labels(read_table(folder, judge), folder, judge)
    return Arm(entry, result, table, read_preferences(folder), read_looks(folder, result, judge))


def read_looks(folder: Path, result: Result, judge: str) -> list[Look]:
    """The answers of an arm on its way; none where the judge has not scored all of them."""
    if not result.training or not all(judge in judges_of(place) for place in places_of(folder)):
        return []
    steps = result.training.steps
    return [Look(step / steps, read_table(look_folder(folder, step), judge)) for step in result.looks]
