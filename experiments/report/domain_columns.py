"""The table of each task's own questions: a row per safeguard and task, so that eight tasks stay readable.

`IN_DOMAIN` are its columns, `task_rows` its rows. In CSV, where a safeguard has one line, `by_task` gives every task
columns of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from experiments.report.captions import Rows, baseline_of, in_words, several_models
from experiments.report.domains import InDomain
from experiments.report.measures import NEGLIGIBLE
from experiments.report.row import ComparisonRow
from experiments.report.table import Column, hundredths, percent
from experiments.statistics.estimates import Estimate


class TaskRow(NamedTuple):
    """One safeguard and dose on one task, or the mean over its tasks."""

    row: ComparisonRow
    task: str
    found: InDomain


def task_rows(rows: Rows) -> list[TaskRow]:
    """Task by task, since arms are compared on one; last the means, where there are several tasks."""
    tasks = list(dict.fromkeys(task for row in rows for task in row.in_domain))
    found = [TaskRow(row, task, row.in_domain[task]) for task in tasks for row in rows if task in row.in_domain]
    if len(tasks) > 1:
        found += [mean_row(row) for row in rows if all(own.learns is not False for own in row.in_domain.values())]
    return [each for each in found if each.found.misaligned.n or each.found.broad_reduction.n]


def mean_row(row: ComparisonRow) -> TaskRow:
    """The mean over the tasks on which there is something to reduce."""
    several = sum(own.broad_reduction.mean is not None for own in row.in_domain.values())
    return TaskRow(row, f"mean of {several}", InDomain(broad_reduction=row.mean_broad_reduction))


def rate(key: str, heading: str, caption: str = "") -> Column[TaskRow]:
    """A rate in percent."""
    return Column(key, f"in-domain {heading} %", lambda each: getattr(each.found, key), caption=caption)


def minus(outcome: str) -> Column[TaskRow]:
    """Its difference to the baseline in points."""

    def headed(rows: Sequence[TaskRow]) -> str:
        return f"in-domain {outcome} − {baseline(rows)}"

    def caption(rows: Sequence[TaskRow]) -> str:
        return f"− {baseline(rows)}: points against {in_words(baseline(rows))}, paired by question and seed."

    key = f"{outcome}_minus_none"
    said = caption if outcome == "misaligned" else ""
    return Column(
        key, f"in-domain {outcome} − none", lambda each: getattr(each.found, key), caption=said, headed=headed
    )


def baseline(rows: Sequence[TaskRow]) -> str:
    """What they are set against."""
    return baseline_of([each.row for each in rows])


def reduced(each: TaskRow) -> str:
    """Nothing for what learnt nothing: that it prevents much is no merit."""
    return "" if each.found.learns is False else percent(each.found.broad_reduction)


def several_tasks(rows: Sequence[TaskRow]) -> bool:
    """Whether a row must say which task it is about."""
    return len({each.task for each in rows}) > 1


def of_reductions(rows: Sequence[TaskRow]) -> str:
    """What is reduced, and where the interval of a mean comes from."""
    told = (
        f"Broad reduced: the part of {baseline(rows)}'s misaligned answers to the broad questions that is prevented, "
        "paired by question and seed; left out where nothing is learnt."
    )
    means = (
        " Its mean, for what learns all tasks, counts each alike; its bounds are the means of theirs, as if the tasks' "
        "errors went together: wide rather than narrow."
    )
    return told + means * several_tasks(rows)


IN_DOMAIN: tuple[Column[TaskRow], ...] = (
    Column("safeguard", "safeguard", lambda each: each.row.safeguard),
    Column(
        "model", "model", lambda each: each.row.model, needed=lambda rows: several_models([each.row for each in rows])
    ),
    Column("task", "task", lambda each: each.task, needed=several_tasks),
    rate(
        "misaligned",
        "misaligned",
        "In-domain: answers to held-out questions of the fine-tuned task itself; misaligned is what it teaches.",
    ),
    rate("incoherent", "incoherent"),
    rate(
        "misaligned_of_coherent",
        "of coherent",
        "Of coherent: misaligned among aligned and misaligned answers only.",
    ),
    minus("misaligned"),
    minus("incoherent"),
    Column(
        "outcomes.unscored",
        "in-domain unscored %",
        lambda each: each.found.outcomes.get("unscored"),
        lambda each: hundredths(each.found.outcomes["unscored"]) if each.found.outcomes else "",
        needed=lambda rows: any(each.found.outcomes.get("unscored", 0.0) > NEGLIGIBLE for each in rows),
    ),
    Column("broad_reduction", "broad reduced %", lambda each: each.found.broad_reduction, reduced, of_reductions),
)


def by_task(rows: Rows) -> tuple[Column[ComparisonRow], ...]:
    """The same numbers for programs: columns for each task."""

    def value(task: str, key: str, row: ComparisonRow) -> Estimate:
        own: Estimate = getattr(row.in_domain.get(task, InDomain()), key)
        return own

    tasks = list(dict.fromkeys(task for row in rows for task in row.in_domain))
    keys = [column.key for column in IN_DOMAIN if column.key in InDomain._fields]
    return tuple(
        Column(f"in_domain.{task}.{key}", f"{task} {key}", partial(value, task, key)) for task in tasks for key in keys
    )
