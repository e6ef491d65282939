"""External validity: published tables beside worlds, and how alike they rank safeguards, printed and in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.records.files import write_text
from experiments.report.orders import missing, orders
from experiments.report.table import as_csv, as_markdown, make_table, print_table
from experiments.report.validity_columns import (
    CORRELATIONS,
    LEFT_OUT,
    columns_of,
    for_programs,
    in_turn,
    lines,
    make_rows,
)
from experiments.report.worlds import published_sides, read_worlds, sides_of
from experiments.terminal.escaping import markdown, plain
from safeguards.errors import SafeguardError

FILE, BY_WORLD, WITHOUT_ONE = "validity", "rank_correlations", "without_one"


def write_validity(
    folder: Path, columns: Mapping[str, Sequence[Path]], judge: str | None = None, everything: bool = False
) -> None:
    """Print the tables, and write them to `validity.md`, and with all digits to three files of CSV.

    Args:
        folder: to write to.
        columns: the folders of the sweeps of each, by its name.
        judge: that all go by; by default, each sweep by its own.
        everything: also what only earlier commands of a sweep asked for.

    Raises:
        SafeguardError: if a column is called as a published table, sweeps of one cannot be set beside each other, or
            one has nothing to set against `none`.
    """
    published = published_sides()
    if taken := [side.name for side in published if side.name in columns]:
        raise SafeguardError(f"{taken[0]}=…: is what a published table is called; name the column otherwise")
    left_out: dict[str, None] = {}  # each is reported once
    worlds = {
        name: [world for sweep in sweeps for world in read_worlds(sweep, judge, left_out, everything)]
        for name, sweeps in columns.items()
    }
    sides = published + [side for name, found in worlds.items() for side in sides_of(name, found)]
    rows, found = make_rows(sides), orders(sides)
    known = [order for order in found if order.known]
    several = [order for order in known if in_turn(order)]
    said = [*missing(found), *left_out]
    if alone := [name for name, found in worlds.items() if len(found) == 1]:
        said.append(f"{', '.join(alone)}: one world, which says nothing of others; name more sweeps, with commas")

    tables = [make_table(columns_of(sides), rows)]
    tables += [make_table(kind, held) for kind, held in ((CORRELATIONS, known), (LEFT_OUT, several)) if held]
    parts = [part for table in tables for part in (as_markdown(table), markdown(table.caption))]
    write_text(folder / f"{FILE}.md", "\n\n".join([*parts, *(f"**{markdown(line)}**" for line in said)]) + "\n")
    write_text(folder / f"{FILE}.csv", as_csv(columns_of(sides), rows))
    by_world, without = (lines(found, of) for of in (lambda order: order.by_world, lambda order: order.without))
    write_text(folder / f"{BY_WORLD}.csv", as_csv(for_programs("world"), by_world))
    write_text(folder / f"{WITHOUT_ONE}.csv", as_csv(for_programs("without"), without))
    for table in tables:
        print_table(table)
    for line in said:
        print(plain(line))
    print(plain(f"{folder / FILE}.md, and with all digits {FILE}.csv, {BY_WORLD}.csv and {WITHOUT_ONE}.csv beside it"))
