"""What safeguards prevent, as published and in several worlds, side by side.

A world is a model by itself, which has a sweep of its own, or the built-in one with its entries dealt anew, of which a
sweep may have several.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from experiments.records.measures import BROAD_MISALIGNED, NARROW_LEARNT
from experiments.records.names import BROAD
from experiments.records.sweep_file import read_sweep
from experiments.report.arms import Arm, read_arms
from experiments.report.baselines import Baselines, counterparts, find_baselines, learns
from experiments.report.choices import choice_rows
from experiments.report.domains import in_domain, mean_reduction
from experiments.report.labels import group_arms
from experiments.report.measures import share
from experiments.report.over_worlds import the_model
from experiments.report.published import WITHOUT, published_tables
from experiments.report.stopping import beside_curve
from experiments.report.world_draws import WORLD
from experiments.terminal.printing import progress
from safeguards.composition import NONE
from safeguards.errors import SafeguardError

# What is known of safeguards: the part of what `none` lets through that they prevent, and what they let through beside
# the stopping curve; of choices, the difference to `none` in nats. Of the first, more is better.
PREVENTED, EXCESS, NATS = "prevented", "excess", "nats"


@dataclass(frozen=True)
class Side:
    """One column: what is known of safeguards in one or several worlds.

    Args:
        name: of the column.
        what: `PREVENTED`, `EXCESS` or `NATS`.
        worlds: by the name of the sweep (and world, of several), what is known of each safeguard; of a published table,
            one.
        about: in words, for the caption.
        published: whether others measured it.
        idle: safeguards under which nothing is learnt in some world.
    """

    name: str
    what: str
    worlds: Mapping[str, Mapping[str, float]]
    about: str
    published: bool = False
    idle: frozenset[str] = frozenset()

    @property
    def safeguards(self) -> list[str]:
        """Of any world, in their order."""
        return list(dict.fromkeys(name for world in self.worlds.values() for name in world))

    @property
    def names(self) -> list[str]:
        """Of the worlds; that of a published table has none."""
        return [""] if self.published else list(self.worlds)


@dataclass(frozen=True)
class World:
    """What a sweep says, or one world of it.

    Args:
        sweep: its name, with the world where it has several.
        by: the judge, or that choices say it.
        asked: the sets and files of broad questions, or of choices.
        model: settings of the model, as text.
        about: in words, what `none` lets through and after which tasks.
        found: by what is known, of each safeguard.
        idle: safeguards under which nothing is learnt.
    """

    sweep: str
    by: str
    asked: str
    model: str
    about: str
    found: Mapping[str, Mapping[str, float]]
    idle: frozenset[str] = field(default_factory=frozenset)


def published_sides() -> list[Side]:
    """A column for each published table that says what safeguards prevent."""
    found = []
    for table in published_tables():
        if prevented := table.prevented():
            through = f"; {100 * table.unprotected:.1f} % without a safeguard" if table.unprotected else ""
            unlike = "".join(f"; {row.safeguard}: {row.unlike}" for row in table.rows if row.unlike)
            about = f"arXiv {table.arxiv}, {table.table}, {table.model}{through}{unlike}"
            found.append(Side(table.name, PREVENTED, {table.name: prevented}, about, published=True))
    return found


def sides_of(name: str, worlds: Sequence[World]) -> list[Side]:
    """The columns of worlds that belong together: one, and another where any has the stopping curve.

    Raises:
        SafeguardError: naming two that cannot be set beside each other.
    """
    first = worlds[0]
    for other in worlds[1:]:
        for key, remedy in (
            ("by", "go by one, with judge=… after experiments.rescore, or make two columns of them"),
            ("asked", "make two columns of them, or ask the same"),
        ):
            one, two = getattr(first, key), getattr(other, key)
            if one != two:
                raise SafeguardError(f"{name}: {first.sweep} goes by {one}, {other.sweep} by {two}; {remedy}")
    for place, world in enumerate(worlds):
        for other in worlds[:place]:
            if world.model == other.model:
                raise SafeguardError(
                    f"{name}: {other.sweep} and {world.sweep} are one world, of the same model; name one of them"
                )
    about = f"{'; '.join(f'{world.sweep}: {world.about}' for world in worlds)}; {first.by}"
    idle = frozenset().union(*(world.idle for world in worlds))
    found = []
    for what, heading in ((PREVENTED, name), (NATS, name), (EXCESS, f"{name}, excess")):
        if any(world.found.get(what) for world in worlds):
            known = {world.sweep: world.found.get(what, {}) for world in worlds}
            found.append(Side(heading, what, known, about, idle=idle))
            about = ""
    return found


def read_worlds(output: Path, judge: str | None, left_out: dict[str, None], everything: bool = False) -> list[World]:
    """What the records of a sweep say, world by world.

    Args:
        output: of the sweep.
        judge: by default, the one that it goes by.
        left_out: a line for each arm whose records are damaged is added to it.
        everything: also arms that only earlier commands asked for.

    Raises:
        SafeguardError: if nothing can be set against `none`.
    """
    judge = judge or read_sweep(output).judge
    every = read_arms(output, judge, everything, left_out.setdefault)
    if harmful := [arm.entry for arm in every if not arm.benign]:
        the_model(output, harmful)  # each world has the same
    worlds = list(dict.fromkeys(arm.world for arm in every)) or [""]
    return [world_of(output, judge, [arm for arm in every if arm.world == world], world) for world in worlds]


def world_of(output: Path, judge: str, every: Sequence[Arm], world: str) -> World:
    """What the arms of one world say; `world` is empty where the sweep has no other."""
    arms = [arm for arm in every if not arm.benign]
    if every and not arms:
        tasks = ", ".join(dict.fromkeys(arm.entry.task for arm in every))
        raise SafeguardError(
            f"{output}: has benign tasks alone ({tasks}), after which nothing breaks; run one that does, or, if an "
            "earlier command of this name did, add --all"
        )
    baselines = find_baselines(arms)
    where = f" in world {world}" if world else ""
    if not baselines.arms or baselines.arms[0].entry.safeguard != NONE:
        raise SafeguardError(
            f"{output}: has no {NONE}{where} that is done and scored by {judge}, and all else is set against it; run "
            f"experiments.sweep with name={output.name}, or experiments.rescore"
        )
    own = the_model(output, [arm.entry for arm in arms])
    model = json.dumps(own if not world else {**own, WORLD: int(world)}, sort_keys=True)
    name = f"{output.name} {world}".strip()
    tasks = ", ".join(dict.fromkeys(arm.entry.task for arm in arms))
    through = share(baselines.arms, BROAD_MISALIGNED)
    if through is not None:
        found, idle = judged(arms, baselines)
        about = f"{100 * through:.1f} % with {NONE}, {tasks}"
        return World(name, f"judge {judge}", asked(arms, "path"), model, about, found, idle)
    if not any(arm.preferences for arm in baselines.arms):
        raise SafeguardError(
            f"{output}: {judge} scored no broad answer of {NONE}, and it has no choices; let experiments.rescore "
            "score them, or run it with probes.choices=…"
        )
    alike = "at equal capability" if all(arm.result.anchor for arm in baselines.arms) else "not at equal capability"
    return World(name, f"choices, {alike}", asked(arms, "choices"), model, tasks, {NATS: by_choices(arms)})


def asked(arms: Sequence[Arm], file: str) -> str:
    """The sets of broad questions, or of choices, and where they come from."""
    sets = {
        name for arm in arms for name in ([each.set for each in arm.preferences] if file == "choices" else arm.answers)
    }
    files = {str(path) for arm in arms if (path := arm.entry.settings.get("probes", {}).get(file))}
    return ", ".join(["questions", *(name for name in BROAD if name in sets), *sorted(files)])


def judged(arms: Sequence[Arm], baselines: Baselines) -> tuple[dict[str, dict[str, float]], frozenset[str]]:
    """What judged answers say of each safeguard, and under which nothing is learnt."""
    found: dict[str, dict[str, float]] = {PREVENTED: {}, EXCESS: {}}
    idle = set()
    for (label, _), members in progress(list(group_arms(arms).items()), "compare"):
        if members[0].entry.safeguard in WITHOUT:
            continue
        plain = counterparts(members, baselines.arms)
        prevented = mean_reduction(in_domain(members, plain, baselines)).mean
        learnt = learns(members, baselines)[NARROW_LEARNT]
        beside = beside_curve(members, baselines, learnt)
        excess = beside.excess[NARROW_LEARNT].mean if beside else None
        for what, value in ((PREVENTED, prevented), (EXCESS, excess)):
            if value is not None:
                found[what][label] = value
        idle |= {label} if learnt is False else set()
    return found, frozenset(idle)


def by_choices(arms: Sequence[Arm]) -> dict[str, float]:
    """The difference to `none` in nats, the mean over the tasks."""
    found: dict[str, list[float]] = {}
    for row in choice_rows(arms):
        mean = row.parts["broad"].minus_none.mean if "broad" in row.parts else None
        if mean is not None:
            found.setdefault(row.safeguard, []).append(mean)
    return {name: sum(values) / len(values) for name, values in found.items()}
