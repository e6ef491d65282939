"""How much interleaving: what is let through, learnt and incoherent at each share of safe rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.paper.sides import Side, settings_of
from experiments.records.measures import BROAD_MISALIGNED, INCOHERENT, NARROW_LEARNT
from experiments.report.arms import Arm
from experiments.report.measures import estimate
from experiments.report.published import PublishedTable
from experiments.statistics.estimates import Estimate
from safeguards.composition import NONE


@dataclass(frozen=True)
class ShareRow:
    """A safeguard that mixes in safe rows, at one share; at 0 it is no safeguard.

    Args:
        safeguard, share: of the rows that are fine-tuned on.
        published: general misaligned at this share, by the table.
        misaligned, incoherent, narrow: ours.
    """

    safeguard: str
    share: float
    published: float | None
    misaligned: Estimate
    incoherent: Estimate
    narrow: Estimate


def share_rows(table: PublishedTable, side: Side) -> list[ShareRow]:
    """Each safeguard that was run at several shares, from none on."""
    shares = [(arms[0].entry.safeguard, settings_of(arms[0]).get("share"), arms) for arms in side.groups.values()]
    known = [(name, float(share), arms) for name, share, arms in shares if share is not None]
    often = Counter(name for name, _, _ in known)
    found = []
    for name in dict.fromkeys(name for name, _, _ in known if often[name] > 1):
        own = [(share, arms) for other, share, arms in known if other == name]
        found.append(row_of(table, name, 0.0, side.none))
        found += [row_of(table, name, share, arms) for share, arms in sorted(own, key=lambda each: each[0])]
    return found


def row_of(table: PublishedTable, name: str, share: float, arms: Sequence[Arm]) -> ShareRow:
    """One share."""
    at = [
        row.general_misaligned
        for row in table.rows
        if (row.safeguard == name and row.dose.get("share") == share) or (row.safeguard == NONE and not share)
    ]
    published = at[0] / 100 if at and at[0] is not None else None
    return ShareRow(
        name, share, published, *(estimate(arms, measure) for measure in (BROAD_MISALIGNED, INCOHERENT, NARROW_LEARNT))
    )
