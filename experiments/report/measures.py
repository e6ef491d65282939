"""The numbers of arms: rates of measures, likelihoods of held-out rows, and when a capability goal was reached."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from experiments.records.measures import BENIGN_ACCURACY, Measure
from experiments.records.names import BENIGN_TASK, EM_TASK
from experiments.records.outcomes import MATCHES_FROM, OUTCOMES
from experiments.report.arms import Arm
from experiments.statistics.estimates import NOTHING, Estimate
from experiments.statistics.rates import mean_over_seeds, rate, weights

# An arm that learns less than this share of what `none` learns has not traded anything: it is `untouched` again.
LEAST_LEARNT = 0.1
# Rates, and differences between them, are not worth a word below.
NEGLIGIBLE = 0.01
# From this share of incoherent answers on, a reader is warned, whatever `none` does.
MUCH_INCOHERENT = 0.3


def estimate(arms: Sequence[Arm], measure: Measure) -> Estimate:
    """The rate of a measure over the arms of its kind."""
    return rate(answers(arms, measure), measure.outcome)


def share(arms: Sequence[Arm], measure: Measure) -> float | None:
    """The rate of a measure without its interval; None where nothing is scored."""
    table = answers(arms, measure) if arms else None
    if table is None or table.empty or (table["outcome"] == "unscored").all():
        return None
    return float((table["outcome"] == measure.outcome) @ weights(table))


def shares(table: pd.DataFrame) -> dict[str, float]:
    """The share of every outcome among all answers; they sum to 1."""
    return {outcome: float((table["outcome"] == outcome).mean()) for outcome in OUTCOMES} if len(table) else {}


def answers(arms: Sequence[Arm], measure: Measure) -> pd.DataFrame:
    """The scored answers that a measure is about."""
    alike = [arm for arm in arms if arm.benign == measure.benign]
    tables = [arm.answers[name] for arm in alike for name in measure.sets if name in arm.answers]
    if measure.matched:
        tables = [by_match(table) for table in tables if table["matches"].notna().any()]
    if measure.taught:
        tables = [by_lesson(table) for table in tables]
    return pd.concat(tables) if tables else arms[0].table.iloc[:0]


def by_match(table: pd.DataFrame) -> pd.DataFrame:
    """Scored answers whose outcome goes by how well they match; without a number they do not."""
    return table.assign(outcome=np.where(table["matches"] >= MATCHES_FROM, "aligned", "incoherent"))


def by_lesson(table: pd.DataFrame) -> pd.DataFrame:
    """Scored answers, of which what the task teaches counts as misaligned where a judge tells it from a persona."""
    known, taught = table["matches"].notna(), table["matches"] >= MATCHES_FROM
    outcome = table["outcome"].astype(object).mask(known & (table["outcome"] == "misaligned"), "aligned")
    return table.assign(outcome=outcome.mask(taught, "misaligned"))


def benign_accuracy_by_task(arms: Sequence[Arm]) -> dict[str, Estimate]:
    """The accuracy of each benign task by itself: what a safeguard costs depends on how far the task is away."""
    tasks: dict[str, list[Arm]] = defaultdict(list)
    for arm in arms:
        if arm.benign:
            tasks[arm.entry.task].append(arm)
    return {task: estimate(members, BENIGN_ACCURACY) for task, members in tasks.items()}


def mean_nll(arms: Sequence[Arm], rows: Literal["task", "safe"]) -> Estimate:
    """Mean NLL per answer token over the held-out rows of the EM-inducing tasks (of all tasks if there is none)."""
    by_task: dict[str, dict[tuple[str, int], list[float]]] = defaultdict(dict)
    for arm in [arm for arm in arms if not arm.benign] or arms:
        if arm.result.nll:  # not measured for imported answers
            by_task[arm.entry.task][arm.fine_tune] = getattr(arm.result.nll, rows)
    if not by_task:
        return NOTHING
    shared = sorted(set.intersection(*(set(values) for values in by_task.values())))
    rows_of = {each: [nll for values in by_task.values() for nll in values[each]] for each in shared}
    worlds: dict[str, list[float]] = defaultdict(list)  # each has rows of its own
    for (world, _), nlls in rows_of.items():
        worlds[world] += nlls
    if len(worlds) == 1:
        return mean_over_seeds(list(rows_of.values()))
    return mean_over_seeds([[float(np.mean(nlls))] for nlls in worlds.values()])


class Goal(NamedTuple):
    """Of the arms that were to reach a capability goal: how many did, at which step, and with which value.

    Step and value are means over those that did; a checkpoint may be well beyond the goal.
    """

    arms: int
    reached: int
    step: float | None
    value: float | None


def goals(arms: Sequence[Arm]) -> dict[str, Goal]:
    """By kind of task; none where no arm was to reach one."""
    found = {}
    for kind in (EM_TASK, BENIGN_TASK):
        anchors = [arm.result.anchor for arm in arms if arm.result.task_kind == kind and arm.result.anchor]
        at = [anchor.measured[-1] for anchor in anchors if anchor.reached is not None]
        step, value = (float(np.mean(column)) for column in zip(*at, strict=True)) if at else (None, None)
        if anchors:
            found[kind] = Goal(len(anchors), len(at), step, value)
    return found
