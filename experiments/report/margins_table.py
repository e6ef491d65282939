"""The table of what is kept: each difference to its reference, and what its interval says of the margin."""

from __future__ import annotations

from dataclasses import replace

from experiments.records.measures import (
    ARITHMETIC_KEPT,
    BENIGN_ACCURACY,
    FACTS_KEPT,
    INCOHERENT,
    NARROW_LEARNT,
    Measure,
)
from experiments.report.captions import Rows
from experiments.report.columns import HEAD
from experiments.report.margins import REFERENCES, UNWANTED
from experiments.report.row import ComparisonRow
from experiments.report.table import Column, Table, make_table, percent
from experiments.statistics.estimates import NOTHING, Estimate

HEADINGS = {
    FACTS_KEPT: "facts",
    ARITHMETIC_KEPT: "arithmetic",
    BENIGN_ACCURACY: "benign",
    NARROW_LEARNT: "narrow",
    INCOHERENT: "incoherent",
}


def caption(rows: Rows) -> str:
    """Against what, and what the verdicts mean, with the margins."""
    said = {measure: kept for row in rows for measure, kept in row.kept.items()}
    stated = [
        f"{heading} {'+' if measure in UNWANTED else '−'}{100 * said[measure].margin:g} against {REFERENCES[measure]}"
        for measure, heading in HEADINGS.items()
        if measure in said
    ]
    return (
        f"Points, paired by question and seed, with margins: {', '.join(stated)}. Kept: the 95 % interval lies wholly "
        "on the good side of the margin; lost: wholly beyond it; not shown: neither."
    )


def claim(measure: Measure) -> tuple[Column[ComparisonRow], Column[ComparisonRow]]:
    """Its difference and verdict for people, and the verdict for programs."""

    def difference(row: ComparisonRow) -> Estimate:
        return row.kept[measure].difference if measure in row.kept else NOTHING

    def said(row: ComparisonRow) -> str | None:
        return row.kept[measure].verdict if measure in row.kept else None

    key, heading = f"kept.{measure.key}", f"{HEADINGS[measure]} − {REFERENCES[measure]}"
    return (
        Column(key, heading, difference, lambda row: f"{percent(difference(row))} {said(row) or ''}".strip()),
        Column(f"{key}.verdict", f"{heading} verdict", said),
    )


_CLAIMS = [claim(measure) for measure in HEADINGS]
KEPT: tuple[Column[ComparisonRow], ...] = (*HEAD, *(column for column, _ in _CLAIMS))
VERDICTS: tuple[Column[ComparisonRow], ...] = tuple(column for _, column in _CLAIMS)


def kept_table(rows: Rows) -> Table:
    """The rows of which something is claimed."""
    claimed = [row for row in rows if row.kept]
    return replace(make_table(KEPT, claimed, "What is kept, by a margin"), caption=caption(claimed))
