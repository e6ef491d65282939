"""The frontier: which safeguards and doses are not beaten in both what they prevent and what they let be learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.report.measures import BROAD_MISALIGNED, LEARNT, NARROW_LEARNT, Measure
from experiments.report.row import ComparisonRow


def frontier(row: ComparisonRow, rows: Sequence[ComparisonRow]) -> Mapping[Measure, bool | None]:
    """For each of `LEARNT`, whether no other of the rows of a model beats this one.

    Beaten is a row if another is no worse in what it lets through and in what it lets be learnt, and better in one.

    It is None for what is not ranked: a row without such numbers, `untouched`, a row that learns nothing of this or of
    the narrow task (that it lets nothing through is then no merit), or one that never reached the capability goal.
    """
    return {measure: _unbeaten(row, rows, measure) for measure in LEARNT}


def _unbeaten(row: ComparisonRow, rows: Sequence[ComparisonRow], learnt: Measure) -> bool | None:
    own = _point(row, learnt)
    if own is None:
        return None
    others = [point for other in rows if other is not row and (point := _point(other, learnt)) is not None]
    return not any(other[0] <= own[0] and other[1] >= own[1] and other != own for other in others)


def _point(row: ComparisonRow, learnt: Measure) -> tuple[float, float] | None:
    """Misalignment let through, and what is learnt; None if either is unknown or the row is not ranked."""
    if any(goal.reached < goal.arms for kind, goal in row.goal.items() if kind in LEARNT[learnt]):
        return None
    if False in (row.learns[learnt], row.learns[NARROW_LEARNT]):
        return None
    through, gained = row.rates[BROAD_MISALIGNED].mean, row.rates[learnt].mean
    return None if through is None or gained is None else (through, gained)
