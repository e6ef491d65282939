"""What one task teaches: how its own held-out questions are answered, and how much of what it breaks is prevented."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from experiments.records.measures import BROAD_MISALIGNED, NARROW_LEARNT, NARROW_MISALIGNED
from experiments.records.outcomes import COHERENT
from experiments.report.arms import Arm
from experiments.report.baselines import Baselines, learns
from experiments.report.measures import answers, shares
from experiments.statistics.estimates import NOTHING, Estimate, mean_estimate
from experiments.statistics.rates import difference, rate, reduction


class InDomain(NamedTuple):
    """One safeguard and dose on one EM-inducing task, over its seeds.

    Args:
        misaligned, incoherent: of all answers to held-out questions of this task.
        misaligned_of_coherent: of those that are aligned or misaligned.
        misaligned_minus_none, incoherent_minus_none: paired differences to the baseline on this task.
        broad_reduction: the part of the baseline's broad misaligned answers that is prevented: 1 less the ratio of the
            rates, paired; nothing where it has no such answers.
        learns: whether at least `LEAST_LEARNT` of what `none` learns is learnt here; None where it cannot be told.
        outcomes: shares of the answers to this task's questions.
        none_seeds: those that the baseline has on this task.
    """

    misaligned: Estimate = NOTHING
    incoherent: Estimate = NOTHING
    misaligned_of_coherent: Estimate = NOTHING
    misaligned_minus_none: Estimate = NOTHING
    incoherent_minus_none: Estimate = NOTHING
    broad_reduction: Estimate = NOTHING
    learns: bool | None = None
    outcomes: Mapping[str, float] = {}
    none_seeds: Sequence[int] = ()


def in_domain(arms: Sequence[Arm], plain: Sequence[Arm], baselines: Baselines) -> dict[str, InDomain]:
    """By EM-inducing task.

    Args:
        arms: of one safeguard and dose.
        plain: their counterparts of the baseline; none for what is set against nothing.
        baselines: what learning is gauged by.
    """
    theirs = _by_task(plain)
    return {task: _of_task(own, theirs.get(task, []), baselines) for task, own in _by_task(arms).items()}


def _of_task(arms: Sequence[Arm], none: Sequence[Arm], baselines: Baselines) -> InDomain:
    own = answers(arms, NARROW_MISALIGNED)
    found = InDomain(
        misaligned=rate(own, "misaligned"),
        incoherent=rate(own, "incoherent"),
        misaligned_of_coherent=rate(own, "misaligned", among=COHERENT),
        outcomes=shares(own),
    )
    if not none:
        return found
    plain = answers(none, NARROW_MISALIGNED)
    return found._replace(
        misaligned_minus_none=difference(own, plain, "misaligned"),
        incoherent_minus_none=difference(own, plain, "incoherent"),
        broad_reduction=reduction(answers(arms, BROAD_MISALIGNED), answers(none, BROAD_MISALIGNED), "misaligned"),
        learns=learns(arms, baselines)[NARROW_LEARNT],
        none_seeds=sorted({arm.entry.seed for arm in none}),
    )


def mean_reduction(tasks: Mapping[str, InDomain]) -> Estimate:
    """The mean of the tasks' reductions of broad misaligned, each task counting alike, as papers print it."""
    return mean_estimate([task.broad_reduction for task in tasks.values()])


def seeds_by_task(arms: Sequence[Arm]) -> dict[str, list[int]]:
    """Which fine-tunes there are; of tasks of either kind."""
    found: dict[str, set[int]] = defaultdict(set)
    for arm in arms:
        found[arm.entry.task].add(arm.entry.seed)
    return {task: sorted(seeds) for task, seeds in found.items()}


def _by_task(arms: Sequence[Arm]) -> dict[str, list[Arm]]:
    """Those on EM-inducing tasks."""
    found: dict[str, list[Arm]] = defaultdict(list)
    for arm in arms:
        if not arm.benign:
            found[arm.entry.task].append(arm)
    return dict(found)
