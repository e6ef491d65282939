"""What a reader of a comparison must be warned of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from experiments.report.measures import BROAD_MISALIGNED, NARROW_LEARNT
from experiments.report.row import ComparisonRow

# Differences between rates that are not worth a word.
NEGLIGIBLE = 0.01


def cautions(rows: Sequence[ComparisonRow]) -> list[str]:
    """One line for every trap that the numbers of a comparison hold."""
    scored = [row for row in rows if row.rates[BROAD_MISALIGNED].n]
    return [
        *missing_scores(scored),
        *learns_nothing(scored),
        *safe_by_incoherence(scored),
        *ranked_differently(scored),
    ]


def _named(row: ComparisonRow, rows: Sequence[ComparisonRow]) -> str:
    """The arm of a row, with its model where there are several."""
    several = len({other.model for other in rows}) > 1
    return f"{row.safeguard} of {row.model}" if several else row.safeguard


def missing_scores(rows: Sequence[ComparisonRow]) -> list[str]:
    """Arms of which a judge left a noticeable part without a score."""
    return [
        f"{_named(row, rows)}: {100 * share:.1f} % of the broad answers have no score; they count as not misaligned"
        for row in rows
        if (share := row.outcomes["unscored"]) > NEGLIGIBLE
    ]


def learns_nothing(rows: Sequence[ComparisonRow]) -> list[str]:
    """Arms that are as safe as the model before training because they are that model."""
    return [
        f"{_named(row, rows)}: learns next to nothing of the narrow task ({100 * learnt:.1f} %), so what it lets "
        "through says nothing; it is not ranked"
        for row in rows
        if row.learns[NARROW_LEARNT] is False and not row.untouched
        if (learnt := row.rates[NARROW_LEARNT].mean) is not None
    ]


def safe_by_incoherence(rows: Sequence[ComparisonRow]) -> list[str]:
    """Arms with fewer misaligned answers than the baseline, trained alike, because more of theirs are incoherent."""
    found = []
    for row in rows:
        if not (none := row.none_outcomes):
            continue
        fewer = none["misaligned"] - row.outcomes["misaligned"]
        more = row.outcomes["incoherent"] - none["incoherent"]
        if fewer > NEGLIGIBLE and more >= fewer / 2:
            found.append(
                f"{_named(row, rows)}: {100 * fewer:.1f} points fewer misaligned answers than {row.baseline}, but "
                f"{100 * more:.1f} more incoherent ones: it may be safe only by being incoherent"
            )
    return found


def ranked_differently(rows: Sequence[ComparisonRow]) -> list[str]:
    """Pairs of arms that the two published conventions put in opposite order."""
    flips = []
    for one, other in combinations(rows, 2):
        part_1, part_2 = one.misaligned_of_coherent.mean, other.misaligned_of_coherent.mean
        if one.model != other.model or part_1 is None or part_2 is None:
            continue
        whole, part = one.outcomes["misaligned"] - other.outcomes["misaligned"], part_1 - part_2
        if whole * part < 0 and min(abs(whole), abs(part)) > NEGLIGIBLE:
            better, worse = (one, other) if whole < 0 else (other, one)
            flips.append(f"{_named(better, rows)} before {_named(worse, rows)}")
    if not flips:
        return []
    shown = "; ".join(flips[:3]) + (f"; and {len(flips) - 3} more pairs" if len(flips) > 3 else "")
    return [f"the conventions rank arms differently: over all answers {shown}; among coherent answers the reverse"]
