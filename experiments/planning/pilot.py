"""Power from a pilot: what its records of `none` say of the difference that a planned sweep will find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.config.schema import Config
from experiments.probes import Probe
from experiments.records.measures import Measure
from experiments.records.sweep_file import IMPORTED, PLAN, kept_sweeps, read_sweep
from experiments.terminal.printing import progress
from safeguards.bounds import shown
from safeguards.composition import NONE
from safeguards.errors import SafeguardError

if TYPE_CHECKING:
    import pandas as pd

# The probes of the primary outcome that an arm of `none` asks, by its task and seed.
Asked = Mapping[tuple[str, int], Sequence[Probe]]


def announce_from(config: Config, measure: Measure, asked: Asked) -> str:
    """What a sweep will find on the model of `config`, by the pilot that it names.

    Raises:
        SafeguardError: if the pilot is unknown, has no such arms, or asked other questions.
    """
    from experiments.statistics.detection import Rehearsal, smallest_part
    from experiments.statistics.rates import weights

    pilot, judge = read_pilot(config, measure, asked)
    refuse_other_questions(config.pilot, pilot, asked)
    planned = planned_answers(asked)
    rate, words = float((pilot["outcome"] == measure.outcome) @ weights(pilot)), measure.words
    whose = "none" if judge == IMPORTED else f"none of {config.model.name}"
    known = f"pilot {config.pilot}: {whose} has {100 * rate:.2g} % {words}, by {judge}"
    if not rate:
        return f"{known}: 0 of {len(pilot)} answers, so that nothing can fall"
    rehearsal = Rehearsal.of(pilot, planned, measure.outcome)
    part, power = smallest_part(rehearsal.finds, progress)
    seeds = planned["seed"].nunique()
    design = (
        f"{known}; with {planned['cluster'].nunique()} questions, {len(planned)} answers per safeguard and "
        f"{seeds} seed{'s' * (seeds > 1)}"
    )
    if part is None:
        return (
            f"{design} even a drop to zero is found with {100 * power:.0f} % power only; ask more questions, or take "
            "more samples or seeds"
        )
    points = 100 * part * rate
    return (
        f"{design} a drop of about {points:.2g} points ({100 * part:.0f} % of it) or more is found (80 % power, 5 % "
        "level, one comparison)"
    )


def read_pilot(config: Config, measure: Measure, asked: Asked) -> tuple[pd.DataFrame, str]:
    """The scored answers of `none` in the pilot, on the planned model and tasks; and the judge that scored them.

    Of imported answers nobody knows model and task: all of `none` count.

    Raises:
        SafeguardError: if there is no such sweep, or none of these arms is done.
    """
    from experiments.report.arms import read_arms
    from experiments.report.measures import answers

    name, folder = config.pilot, Path(config.output) / config.pilot
    if not (folder / PLAN).is_file():
        known = ", ".join(kept_sweeps(folder.parent)) or "none"
        raise SafeguardError(f"power.from={name}: no sweep in {folder.parent}; known: {known}")
    sweep, tasks = read_sweep(folder), {task for task, _ in asked}
    arms = [arm for arm in read_arms(folder, everything=True) if arm.entry.safeguard == NONE]
    if sweep.judge != IMPORTED:
        arms = [arm for arm in arms if (arm.entry.model["name"], arm.entry.task in tasks) == (config.model.name, True)]
    if not arms or (table := answers(arms, measure)).empty:
        raise SafeguardError(
            f"power.from={name}: has no arm of none that is done, on model {config.model.name} and task "
            f"{' or '.join(sorted(tasks))} with answers that {measure.key} counts; run one, or name another"
        )
    if (table["outcome"] == "unscored").all():
        raise SafeguardError(
            f"power.from={name}: its answers of none have no score; give them some by experiments.rescore"
        )
    return table, sweep.judge


def refuse_other_questions(name: str, pilot: pd.DataFrame, asked: Asked) -> None:
    """Refuse a pilot that did not ask what the sweep is to ask.

    Raises:
        SafeguardError: with what differs.
    """
    its = {(str(set_), str(question)) for set_, question in zip(pilot["set"], pilot["question"], strict=True)}
    own = {(probe.set, probe.id) for probes in asked.values() for probe in probes}
    sides = (("it did not ask", own - its, own), ("it asked in excess", its - own, its))
    differing = [
        f"{words} {len(only)} of {len(every)}, such as {shown(min(only)[1], 60)!r}"
        for words, only, every in sides
        if only
    ]
    if differing:
        raise SafeguardError(f"power.from={name}: asked other questions: {' and '.join(differing)}; name another pilot")


def planned_answers(asked: Asked) -> pd.DataFrame:
    """A row per answer that an arm of the sweep will give, as in a table of scored answers, without its outcome."""
    import pandas as pd

    rows = [
        (task, seed, probe.set, probe.id, probe.cluster, sample)
        for (task, seed), probes in asked.items()
        for probe in probes
        for sample in range(probe.samples)
    ]
    return pd.DataFrame(rows, columns=["task", "seed", "set", "question", "cluster", "sample"])
