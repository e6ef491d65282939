"""What a card is about: an adapter, with all that the records have of it and of what it is set beside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from experiments.records.arm_files import ARMS, judges_of
from experiments.records.files import DamagedError
from experiments.records.measures import BROAD_MISALIGNED, Measure
from experiments.records.names import UNTOUCHED
from experiments.records.sweep_file import ArmEntry
from experiments.records.training_file import Trained, read_training
from experiments.report.arms import Arm, read_arms
from experiments.report.baselines import counterparts
from experiments.report.choices import ChoiceRow
from experiments.report.labels import named_groups
from experiments.report.measures import answers
from experiments.report.report import Report
from experiments.report.row import ComparisonRow
from experiments.statistics.estimates import Estimate
from safeguards.composition import NONE

CONFIG = "config.yaml"


@dataclass(frozen=True)
class Subject:
    """An adapter.

    Args:
        folder: of its arm.
        entry: in the plan of the sweep, with its own model where the comparison takes several worlds for one.
        judge: that the sweep goes by.
        trained: what its training left.
        config: the resolved configuration; empty if it is not there.
        arm: with its answers; None where it is not done, or not in the comparison.
        none, untouched: the arms beside which its numbers stand, where there are such.
        others: the same arm as other judges have scored all of its broad answers, by judge.
        row: of the comparison that the arm is part of.
        name: of that row.
        warnings: of the comparison that concern the row.
        choices: of the row on its task, over all seeds.
        known: rates of arms of the sweep by their folder, which the cards share: `none` stands on many.
    """

    folder: Path
    entry: ArmEntry
    judge: str
    trained: Trained
    config: Mapping[str, Any] = field(default_factory=dict)
    arm: Arm | None = None
    none: Arm | None = None
    untouched: Arm | None = None
    others: Mapping[str, Arm] = field(default_factory=dict)
    row: ComparisonRow | None = None
    name: str = ""
    warnings: Sequence[str] = ()
    choices: Sequence[ChoiceRow] = ()
    known: dict[tuple[str, Measure], Estimate] = field(default_factory=dict)

    @property
    def safeguards(self) -> Mapping[str, Mapping[str, Any]]:
        """The settings of each safeguard that acted, by name."""
        found: Mapping[str, Mapping[str, Any]] = self.entry.settings["safeguards"]
        return found

    @property
    def protected(self) -> bool:
        """Whether any safeguard acted."""
        return self.entry.safeguard != NONE

    @property
    def where(self) -> str:
        """In which world it was fine-tuned, if the comparison has several."""
        return f" in world {self.arm.world}" if self.arm and self.arm.world else ""

    @property
    def title(self) -> str:
        """What tables call its row, else its safeguard."""
        return self.name or self.entry.safeguard


def subjects(report: Report) -> Iterator[Subject]:
    """Every adapter of a sweep whose training is recorded, those of the comparison first."""
    sweep = report.sweeps[0]
    judged = by_other_judges(report)
    plan = {entry.folder: entry for entry in sweep.planned(everything=True)}
    known: dict[tuple[str, Measure], Estimate] = {}
    rows = zip(named_groups(report.arms).items(), report.rows, strict=True)
    for (name, members), row in rows:
        warnings = [line for line in report.warnings if concerns(line, name)]
        for arm in members:
            folder = report.folder(arm)
            entry = plan[arm.entry.folder]
            if trained := finished_training(folder, entry):
                others = {judge: arms[arm.entry.folder] for judge, arms in judged.items() if arm.entry.folder in arms}
                none, untouched = (find_beside(arm, report.arms, other) for other in (NONE, UNTOUCHED))
                alike = [each for each in report.choices if (each.safeguard, each.task) == (name, arm.entry.task)]
                yield Subject(
                    *(folder, entry, sweep.judge, trained, read_config(folder), arm, none, untouched, others),
                    *(row, name, warnings, alike, known),
                )
    compared = {arm.entry.folder for arm in report.arms}
    for entry in plan.values():
        folder = report.output / ARMS / entry.folder
        if entry.folder not in compared and (trained := finished_training(folder, entry)):
            yield Subject(folder, entry, sweep.judge, trained, read_config(folder))


def finished_training(folder: Path, entry: ArmEntry) -> Trained | None:
    """What the training of an arm left; None where there is no adapter, or its record cannot be read."""
    if entry.safeguard == UNTOUCHED:
        return None
    try:
        return read_training(folder)
    except DamagedError:  # the comparison says so
        return None


def read_config(folder: Path) -> dict[str, Any]:
    """The resolved configuration of an arm; empty if it is not there, or was damaged since."""
    try:
        found = yaml.safe_load((folder / CONFIG).read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def find_beside(arm: Arm, arms: Sequence[Arm], safeguard: str) -> Arm | None:
    """The arm of `none` or `untouched` on the same task with the same seed, in the same world; not the arm itself."""
    alike = [other for other in arms if other.entry.safeguard == safeguard and other.fine_tune == arm.fine_tune]
    found = counterparts([arm], alike)
    return found[0] if found and found[0] is not arm else None


def by_other_judges(report: Report) -> dict[str, dict[str, Arm]]:
    """By judge and folder, the arms whose broad answers a judge has scored that the sweep does not go by."""
    folders = [report.output / ARMS / arm.entry.folder for arm in report.arms]
    judges = sorted({judge for folder in folders for judge in judges_of(folder)} - {report.judge})
    ignored: list[str] = []
    return {
        judge: {
            arm.entry.folder: arm
            for arm in read_arms(report.output, judge, report.wanted.everything, ignored.append)
            if (answers([arm], BROAD_MISALIGNED)["outcome"] != "unscored").all()
        }
        for judge in judges
    }


def concerns(warning: str, name: str) -> bool:
    """Whether a warning of a comparison is about the row of this name."""
    return (
        warning.startswith((f"{name}: ", f"{name} is before "))
        or f" behind {name} by " in f"{warning} "
        or (f"is before {name} by " in warning)
    )
