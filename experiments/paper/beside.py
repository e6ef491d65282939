"""A published table beside a sweep, number by number: what was published, ours, and whether both go the same way.

Which way a safeguard goes is its difference to no safeguard: `LESS`, `MORE`, or `AS_NONE`, which is less than
`NEGLIGIBLE` or than `PART` of what there is without one. Published tables have no intervals, so theirs is that of the
numbers; ours is that of the whole 95 % interval of the paired difference, and `UNKNOWN` where it says neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from experiments.paper.sides import Side, another_dose
from experiments.records.measures import BENIGN_ACCURACY, BROAD_MISALIGNED, INCOHERENT, NARROW_MISALIGNED, Measure
from experiments.records.names import NARROW
from experiments.report.arms import Arm
from experiments.report.baselines import beside, shared
from experiments.report.measures import NEGLIGIBLE, answers
from experiments.report.published import PublishedRow, PublishedTable
from experiments.statistics.estimates import NOTHING, Estimate
from experiments.statistics.rates import difference, rate
from safeguards.composition import NONE

# What published tables call our measures, in the order of their columns.
OUTCOMES = {
    "general_misaligned": BROAD_MISALIGNED,
    "general_incoherent": INCOHERENT,
    "in_domain_misaligned": NARROW_MISALIGNED,
    "in_domain_incoherent": Measure("in_domain_incoherent", "incoherent", (NARROW,)),
    "benign_accuracy": BENIGN_ACCURACY,
}
# Answers that a judge gave an outcome, refusals not among them: what is counted where others are dropped.
SCORED = ("aligned", "misaligned", "incoherent")
PART = 0.1
LESS, MORE, AS_NONE, UNKNOWN = "less", "more", "as none", "not known"
AGREES, DIFFERS, NOT_SHOWN, NOT_COMPARED = "agrees", "does not", "not shown", "cannot be compared"


@dataclass(frozen=True)
class Line:
    """One outcome of one safeguard, as a share.

    Args:
        safeguard: the row of ours, or what it would be called.
        called: by the source.
        outcome: one of `OUTCOMES`.
        published, ours: rates over all answers.
        scored_only: ours among `SCORED` only.
        published_change, change: differences to no safeguard.
        direction: `AGREES`, `DIFFERS`, `NOT_SHOWN` or `NOT_COMPARED`; nothing for no safeguard itself.
        why: it cannot be compared, or which way either goes, and what else differs.
    """

    safeguard: str
    called: str
    outcome: str
    published: float | None
    ours: Estimate = NOTHING
    scored_only: Estimate = NOTHING
    published_change: float | None = None
    change: Estimate = NOTHING
    direction: str = ""
    why: str = ""


def lines_of(table: PublishedTable, side: Side) -> list[Line]:
    """Outcome by outcome, every published row with each of ours that it is, whatever its dose."""
    found = []
    for outcome in OUTCOMES:
        known = [row for row in table.rows if published(row, outcome) is not None]
        without = next((published(row, outcome) for row in known if row.safeguard == NONE), None)
        for row in known:
            ours = side.beside(row.safeguard)
            found += [line_of(row, outcome, without, side, name, arms) for name, arms in ours.items()] or [
                Line(row.safeguard, row.called, outcome, published(row, outcome), direction=NOT_COMPARED, why="not run")
            ]
    return found


def line_of(row: PublishedRow, outcome: str, without: float | None, side: Side, name: str, arms: Sequence[Arm]) -> Line:
    """One number of a published row beside one of ours."""
    measure, theirs = OUTCOMES[outcome], published(row, outcome)
    own = answers(arms, measure)
    line = Line(
        name,
        row.called,
        outcome,
        theirs,
        rate(own, measure.outcome),
        rate(own, measure.outcome, among=SCORED),
        None if theirs is None or without is None else theirs - without,
    )
    if row.safeguard == NONE:
        return line
    plain = side.plain(arms)
    change = difference(*beside(*shared(arms, plain), measure), measure.outcome) if plain else NOTHING
    base = rate(answers(plain, measure), measure.outcome).mean if plain else None
    direction, why = compared(line.published_change, without, change, base)
    notes = [why, another_dose(arms[0], row.dose), row.unlike]
    return replace(line, change=change, direction=direction, why="; ".join(filter(None, notes)))


def published(row: PublishedRow, outcome: str) -> float | None:
    """A number as a share."""
    value: float | None = getattr(row, outcome)
    return None if value is None else value / 100


def compared(theirs: float | None, without: float | None, ours: Estimate, base: float | None) -> tuple[str, str]:
    """Whether both go the same way, and which way that is, or why it cannot be told."""
    if ours.mean is None or base is None:
        return NOT_COMPARED, "nothing here was scored that none answered, too"
    if theirs is None or without is None:
        return NOT_COMPARED, "no safeguard is not among the published numbers"
    there, here = way(theirs, theirs, without), way(ours.low or 0.0, ours.high or 0.0, base)
    if here == UNKNOWN:
        return NOT_SHOWN, f"{there} there"
    return (AGREES, here) if here == there else (DIFFERS, f"{here} here, {there} there")


def way(low: float, high: float, without: float) -> str:
    """Which way a difference goes that lies between two bounds, where there is so much without a safeguard."""
    little = max(NEGLIGIBLE, PART * without)
    if -little < low and high < little:
        return AS_NONE
    return MORE if low > 0 else LESS if high < 0 else UNKNOWN
