"""The tables of RESULTS.md, read where they stand, so that no number stands twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = "experiments/RESULTS.md"
COSTS = "What a step costs"
# The sections that compare all safeguards, the one to believe first: other worlds, on which no dose was chosen.
COMPARISONS = ("The second organism", "Every safeguard")


@dataclass(frozen=True)
class Measured:
    """A table of RESULTS.md.

    Args:
        section: the heading above it.
        columns: their headings.
        rows: the cells of each.
    """

    section: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def of(self, safeguard: str) -> tuple[tuple[str, ...], ...]:
        """The rows of a safeguard by itself, under whatever else the table varies."""
        return tuple(row for row in self.rows if row[0].strip("`") == safeguard)


def tables() -> list[Measured]:
    """All of them, in order."""
    return list(read((ROOT / RESULTS).read_text("utf-8")))


def read(text: str) -> Iterator[Measured]:
    """The tables of a page in Markdown."""
    section, rows = "", list[tuple[str, ...]]()
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append(tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))))
            continue
        if len(rows) > 2:
            yield Measured(section, rows[0], tuple(rows[2:]))
        rows = []
        if heading := re.match(r"#{2,} (.+)", line):
            section = heading[1]


def costs(safeguard: str) -> tuple[Measured, tuple[str, ...]] | None:
    """The table of costs, and the row of a safeguard in it; None where it was not measured."""
    for table in tables():
        if table.section == COSTS and (rows := table.of(safeguard)):
            return table, rows[0]
    return None


def outcomes(safeguard: str) -> list[Measured]:
    """The tables that say how much misalignment a safeguard lets through, one for each section, comparisons first."""
    found: dict[str, Measured] = {}
    for table in tables():
        says = table.columns[0] == "safeguard" and any("broad misaligned" in column for column in table.columns)
        if says and table.of(safeguard):
            found.setdefault(table.section, table)
    return sorted(found.values(), key=lambda table: (*COMPARISONS, table.section).index(table.section))
