"""Which rows of a sweep stand beside which published ones, and why their levels cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from experiments.records.arm_files import read_judge
from experiments.records.sweep_file import IMPORTED
from experiments.report.arms import Arm
from experiments.report.baselines import counterparts
from experiments.report.labels import named_groups
from experiments.report.published import PublishedTable
from experiments.report.report import Report
from safeguards.composition import NONE
from safeguards.errors import SafeguardError


@dataclass(frozen=True)
class Side:
    """Our side of a comparison with a published table.

    Args:
        groups: the arms of each row of the sweep that count, by its name.
        none: those of `none`.
        tasks: on which they were fine-tuned.
        reasons: why levels cannot be compared with the published ones; none if they can.
    """

    groups: Mapping[str, Sequence[Arm]]
    none: Sequence[Arm]
    tasks: Sequence[str]
    reasons: Sequence[str] = field(default_factory=list)

    def beside(self, safeguard: str) -> dict[str, Sequence[Arm]]:
        """The rows of ours that are a safeguard as published tables name it, whatever their dose."""
        return {name: arms for name, arms in self.groups.items() if is_of(arms[0], safeguard)}

    def plain(self, arms: Sequence[Arm]) -> list[Arm]:
        """Those of `none` that do what these arms do."""
        return counterparts(arms, self.none)


def our_side(report: Report, table: PublishedTable, benign: bool) -> Side:
    """The arms that can stand beside a table: on its task if it was run, else on all tasks of that kind.

    Raises:
        SafeguardError: if there is no arm of `none`, against which every number is set.
    """
    of_kind = [arm for arm in report.arms if arm.benign == benign]
    arms = [arm for arm in of_kind if arm.entry.task in table.tasks] or of_kind
    none = [arm for arm in arms if arm.entry.safeguard == NONE]
    if not none:
        kind = "a benign task" if benign else "a task that induces misalignment"
        raise SafeguardError(
            f"{report.output}: no arm of none on {kind} is done, and published numbers are set against it; "
            f"run experiments.sweep with name={report.output.name} and such a task, or take another --paper"
        )
    tasks = list(dict.fromkeys(arm.entry.task for arm in arms))
    return Side(named_groups(arms), none, tasks, list(unlike(report, table, none[0], tasks)))


def unlike(report: Report, table: PublishedTable, arm: Arm, tasks: Sequence[str]) -> list[str]:
    """In what the sweep is not the published one."""
    model = arm.entry.model
    path = str(model.get("path") or model["name"]).rstrip("/").rsplit("/", 1)[-1]
    found = [] if path == table.model else [f"model: {model['name']} here, {table.model} there"]
    if set(tasks) - set(table.tasks):
        found.append(f"task: {', '.join(tasks)} here, {table.domain} there")
    if not arm.benign and (said := another_judge(report, table, arm)):
        found.append(f"judge: {said}")
    if report.judge == IMPORTED:
        found.append("safeguards: by their names, which is all that is known of imported answers")
    return found


def another_judge(report: Report, table: PublishedTable, arm: Arm) -> str:
    """How the judges differ; nothing if they do not."""
    settings = read_judge(report.folder(arm), report.judge) or {}
    ours = str(settings.get("model") or report.judge)
    if not table.judged_by:
        return f"{ours} here; not known there"
    return "" if ours.startswith(table.judged_by) else f"{ours} here, {table.judged_by} there"


def is_of(arm: Arm, published: str) -> bool:
    """Whether an arm is a safeguard as published tables name it: its name, and what they say to be set otherwise."""
    name, *chosen = published.split()
    said = {key.rpartition(".")[2]: yaml.safe_load(value) for key, _, value in (each.partition("=") for each in chosen)}
    return arm.entry.safeguard == name and said.items() <= settings_of(arm).items()


def settings_of(arm: Arm) -> dict[str, Any]:
    """Those of its one safeguard; of imported answers nobody knows them."""
    return dict(arm.entry.settings["safeguards"].get(arm.entry.safeguard, {}))


def another_dose(arm: Arm, published: Mapping[str, Any]) -> str:
    """How its dose differs from the published one; nothing if it does not, or is not known."""
    ours = settings_of(arm)
    other = [f"{key} {ours.get(key)} here, {value} there" for key, value in published.items() if ours.get(key) != value]
    return f"dose: {', '.join(other)}" if other and ours else ""
