"""The tables by source, for people and for programs: where variance comes from, and what a comparison needs."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.report.sources import MINUS_NONE, RATE, SOUGHT, SourceRow
from experiments.report.table import Column, Table, as_csv, hundredths, make_table, percent
from experiments.statistics.designs import MOST
from experiments.statistics.variances import BOTH, DOMAIN, SEED, SOURCES, WORLD
from safeguards.composition import NONE

HEADINGS = {DOMAIN: "domain", WORLD: "world", BOTH: "domain × world", SEED: "seed"}
OF = {RATE: "broad misaligned", MINUS_NONE: f"− {NONE}"}
# What stands where a source has one level only.
ONE = "–"


def source_tables(rows: Sequence[SourceRow], most: int | None = None) -> list[Table]:
    """For people, of so many rows at most: the sources of all, and what the differences need."""
    tables = [make_table(PARTS, rows[:most])]
    differences = [row for row in rows if row.of == MINUS_NONE]
    return tables + [make_table(NEEDS, differences[:most])] * bool(differences)


def sources_csv(rows: Sequence[SourceRow]) -> str:
    """All of it with all digits."""
    return as_csv((*PARTS, *NEEDS[1:]), rows)


def of_source(source: str) -> Column[SourceRow]:
    """Its standard deviation."""

    def text(row: SourceRow) -> str:
        found = row.parts[source]
        return ONE if found.mean is None else percent(found)

    return Column(source, HEADINGS[source], lambda row: row.parts[source], text)


def needed(row: SourceRow) -> str:
    """The least design, in words."""
    known = drawn(row)
    if row.needed is not None or not known:
        return f"{row.needed} ({row.needed.fine_tunes})" if row.needed else ONE
    return f"not with {MOST} {' and '.join(f'{source}s' for source in known)}"


def drawn(row: SourceRow) -> list[str]:
    """Of what the design draws several."""
    return [source for source in (WORLD, DOMAIN, SEED) if row.parts[source].mean is not None]


PARTS: tuple[Column[SourceRow], ...] = (
    Column("safeguard", "safeguard", lambda row: row.safeguard),
    Column("of", "of", lambda row: row.of, lambda row: OF[row.of]),
    Column("mean", "mean %", lambda row: row.mean, lambda row: hundredths(row.mean)),
    *map(of_source, SOURCES),
    Column("noise", "questions and answers", lambda row: row.noise, lambda row: hundredths(row.noise)),
    Column(
        "fine_tunes",
        "fine-tunes",
        lambda row: row.fine_tunes,
        caption="Standard deviations in points between fine-tunes, with 95 % intervals: from one domain (task) to "
        "another, from one world to another, by both together beyond these, and from one seed to another. –: there is "
        "one only, which cannot be told from the others. Questions and answers: what a finite number of them adds to "
        "one fine-tune, which is taken out of the other columns. Means count each domain and world alike.",
    ),
)
NEEDS: tuple[Column[SourceRow], ...] = (
    Column("safeguard", "safeguard", lambda row: row.safeguard),
    Column("design", "worlds × domains × seeds", lambda row: str(row.design)),
    Column(
        "half_width",
        f"− {NONE} ±",
        lambda row: row.found.half_width if row.found else None,
        lambda row: hundredths(row.found.half_width) if row.found else ONE,
    ),
    Column(
        "smallest",
        "found from",
        lambda row: row.found.smallest if row.found else None,
        lambda row: hundredths(row.found.smallest) if row.found else ONE,
    ),
    Column(
        "needed",
        f"for {100 * SOUGHT:.0f} points",
        lambda row: str(row.needed) if row.needed else None,
        needed,
    ),
    Column(
        "reach",
        "for other",
        lambda row: ", ".join(f"{source}s" for source in drawn(row)),
        caption=f"What the paired difference to {NONE} needs if the estimates above are right, as a mean over worlds, "
        "domains and seeds (in this order) with an interval for others of them. ±: half the width of the 95 % interval "
        "of this very design; found from: the difference in points that it finds with 80 % power; then the least "
        f"design that finds {100 * SOUGHT:.0f} points so, two of each at least, with its number of fine-tunes (of the "
        f"safeguard; {NONE} needs as many). Of what is one only, nothing is said of others.",
    ),
)
