"""The comparison as JSON, Markdown, LaTeX, CSV and a plot, and as tables in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from experiments.records.arm_files import ARMS
from experiments.records.files import write_json, write_text
from experiments.records.sweep_file import read_sweep
from experiments.report.agreement import AGREEMENT, compare_judges
from experiments.report.arms import read_arms
from experiments.report.captions import introduction
from experiments.report.cautions import cautions
from experiments.report.columns import BROAD, DETAILS, MAIN, side_effects
from experiments.report.comparison import compare
from experiments.report.doses import DOSES, over_doses
from experiments.report.labels import group_arms
from experiments.report.measures import BROAD_MISALIGNED
from experiments.report.row import ComparisonRow
from experiments.report.table import Table, as_csv, as_latex, as_markdown, make_table, print_table
from experiments.terminal.escaping import markdown, plain


def write_report(output: Path, judge: str | None = None, everything: bool = False) -> bool:
    """Write the comparison of the sweep in `output` to `comparison.json`, `.md`, `.tex`, `.csv` and `.png`; print it.

    By another `judge` than the one that the sweep goes by, the files are `comparison.<judge>.json` and so on; of
    `everything` that was ever asked for under this name, and not by the last command only, `comparison.all.json`.

    Returns:
        False, and writes nothing, if no arm is done.
    """
    sweep = read_sweep(output)
    left_out: dict[str, None] = {}  # each is reported once
    arms = read_arms(output, judge, everything, left_out.setdefault)
    missing = len(sweep.planned(everything)) - len(arms) - len(left_out)
    if not arms:
        print(*left_out, sep="\n", file=sys.stderr)
        return False
    agreement = compare_judges(output, everything, left_out.setdefault)
    named = [judge] * (judge not in (None, sweep.judge)) + ["all"] * everything
    stem = ".".join(["comparison", *map(str, named)])
    rows = compare(arms)
    warned = [*cautions(rows), *left_out]
    if missing > 0:
        by = judge or sweep.judge
        warned.append(f"{missing} arms are not done, or not scored by {by}: they are not in the tables")
    tables, judges = make_tables(rows), [make_table(AGREEMENT, agreement)] * bool(agreement)

    families = over_doses(rows, list(group_arms(arms).values()))
    if any(family.doses > 1 for family in families):
        tables.append(make_table(DOSES, families))

    found = {"rows": [row.as_json() for row in rows]}
    if families:
        found["doses"] = [family.as_json() for family in families]
    write_json(
        output / f"{stem}.json", found | {"judges": [pair._asdict() for pair in agreement]} if agreement else found
    )
    parts = [part for table in tables for part in (as_markdown(table), markdown(table.caption))]
    parts += [f"**{markdown(line)}**" for line in warned] + [*map(as_markdown, judges)]
    write_text(output / f"{stem}.md", "\n\n".join(parts) + "\n")
    write_text(output / f"{stem}.tex", "\n\n".join(map(as_latex, tables + judges)) + "\n")
    write_text(output / f"{stem}.csv", as_csv((*MAIN, *BROAD, *side_effects(rows), *DETAILS), rows))
    for table in tables:
        print_table(table)
    for line in warned:
        print(f"warning: {plain(line)}")
    for table in judges:
        print_table(table)
    from experiments.report.plots import plot_frontier

    plot_frontier(rows, output / f"{stem}.png")
    print(plain(f"{output / stem}.md, .json, .csv, .tex and .png; every answer in {output / ARMS}"))
    if sweep.earlier and not everything:
        again = f"python -m experiments.tables name={output.name} output={output.parent} --all"
        print(plain(f"{len(sweep.earlier)} arms of other commands lie there, too; to compare all: {again}"))
    return True


def make_tables(rows: Sequence[ComparisonRow]) -> list[Table]:
    """The tables for people, without those that say nothing; the first begins with what was run."""
    scored = [row for row in rows if row.rates[BROAD_MISALIGNED].n]
    main, *others = make_table(MAIN, rows), make_table(BROAD, scored), make_table(side_effects(rows), rows)
    main = replace(main, caption=f"{introduction(rows)} {main.caption}")
    return [table for table in (main, *others) if len(table.cells.columns) > 1]
