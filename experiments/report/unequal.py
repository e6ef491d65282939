"""Warnings that arms of one comparison are not about the same fine-tunes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence

from experiments.report.captions import baseline_of, named, seeds_of
from experiments.report.row import ComparisonRow


def unequal_seeds(rows: Sequence[ComparisonRow]) -> list[str]:
    """Arms that have other seeds than the baseline, and how many of them their difference to it goes by."""
    alike: dict[tuple[tuple[int, ...], tuple[int, ...], str], list[str]] = defaultdict(list)
    baseline = baseline_of(rows)
    for row in rows:
        for tasks, own, none in _beside_none(row):
            alike[own, none, tasks].append(named(row, rows))
    found = []
    for (own, none, tasks), names in alike.items():
        both = sorted({*own} & {*none})
        used = f"go by {_seeds(both)} only ({len(both)} of {len({*own, *none})})"
        used = used if both else "are not given, since they share no seed"
        found.append(
            f"{', '.join(names)}: fine-tuned with {_seeds(own)}{tasks}, {baseline} with {_seeds(none)}: "
            f"differences to {baseline} {used}; rates go by each arm's own seeds"
        )
    return found + _without_none(rows)


def _beside_none(row: ComparisonRow) -> Iterable[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """(of which tasks, own seeds, seeds of `none`) where these differ."""
    differing: dict[tuple[tuple[int, ...], tuple[int, ...]], list[str]] = defaultdict(list)
    for task, found in row.in_domain.items():
        own, none = tuple(row.seeds_by_task[task]), tuple(found.none_seeds)
        if none and own != none:
            differing[own, none].append(task)
    for (own, none), tasks in differing.items():
        yield ("" if len(tasks) == len(row.in_domain) else f" on {', '.join(tasks)}", own, none)


def _without_none(rows: Sequence[ComparisonRow]) -> list[str]:
    """One line for each model whose arms have different seeds, though there is no `none` to compare with."""
    found = []
    for trained in _trained(rows, _inducing):
        compared = any(task.none_seeds for row in trained for task in row.in_domain.values())
        alike: dict[str, list[str]] = defaultdict(list)
        for row in trained:
            alike[seeds_of(row)].append(named(row, rows))
        if len(alike) > 1 and not compared:
            who = "; ".join(f"{', '.join(names)}: {seeds}" for seeds, names in alike.items())
            found.append(f"arms have different seeds ({who}): those with fewer say less of other fine-tunes")
    return found


def unequal_worlds(rows: Sequence[ComparisonRow]) -> list[str]:
    """Arms that were run in other worlds than the baseline, and by how many of them their difference to it goes."""
    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = defaultdict(list)
    baseline = baseline_of(rows)
    for row in rows:
        gauges = [other.worlds for other in rows if other.model == row.model and is_called(other, baseline)]
        none = tuple(dict.fromkeys(world for worlds in gauges for world in worlds))
        if none and {*row.worlds} != {*none}:
            alike[tuple(row.worlds), none].append(named(row, rows))
    found = []
    for (own, none), names in alike.items():
        both = [world for world in own if world in none]
        used = f"go by {_worlds(both)} only" if both else "are not given, since they share no world"
        found.append(
            f"{', '.join(names)}: in {_worlds(own)}, {baseline} in {_worlds(none)}: differences to {baseline} {used}; "
            "rates go by each arm's own worlds"
        )
    return found


def different_tasks(rows: Sequence[ComparisonRow]) -> list[str]:
    """Arms that were not fine-tuned on every task, of either kind, that others of their model were."""
    lacking: dict[str, list[str]] = defaultdict(list)
    for tasks_of in (_inducing, _benign):
        for trained in _trained(rows, tasks_of):
            tasks = dict.fromkeys(task for row in trained for task in tasks_of(row))
            for row in trained:
                if lacks := ", ".join(task for task in tasks if task not in tasks_of(row)):
                    lacking[lacks].append(named(row, rows))
    return [
        f"{', '.join(names)}: not fine-tuned on {tasks}, as other arms are: rates go by each arm's own tasks, "
        f"differences to {baseline_of(rows)} by those that both have"
        for tasks, names in lacking.items()
    ]


def _inducing(row: ComparisonRow) -> Collection[str]:
    return row.in_domain


def _benign(row: ComparisonRow) -> Collection[str]:
    return row.benign_accuracy_by_task


def _trained(
    rows: Sequence[ComparisonRow], tasks_of: Callable[[ComparisonRow], Collection[str]]
) -> list[list[ComparisonRow]]:
    """By model: what was fine-tuned on a task of a kind."""
    models: dict[str, list[ComparisonRow]] = defaultdict(list)
    for row in rows:
        if tasks_of(row) and not row.untouched:
            models[row.model].append(row)
    return list(models.values())


def is_called(row: ComparisonRow, baseline: str) -> bool:
    """Whether a row is the baseline, or a dose of it."""
    return baseline in (row.safeguard, row.safeguard.split()[0])


def _worlds(worlds: Sequence[str]) -> str:
    return f"world{'s' * (len(worlds) > 1)} {', '.join(worlds)}"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
