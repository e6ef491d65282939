"""A sweep beside a published table, printed and in files: Markdown, LaTeX and CSV."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from experiments.paper.beside import lines_of
from experiments.paper.columns import JUDGED, LINES, PUBLISHED, SHARES, VALUES
from experiments.paper.criteria import judge, of_sources
from experiments.paper.shares import share_rows
from experiments.paper.sides import Side, our_side
from experiments.records.files import write_text
from experiments.report.published import PublishedTable, published_criteria, published_table
from experiments.report.report import Wanted, make_report
from experiments.report.table import Table, as_csv, as_latex, make_table, print_table
from experiments.report.write import in_markdown
from experiments.terminal.escaping import plain

# What a person calls the tables, as the presets that run them.
PAPERS = {"security": "security v1", "code": "code v3", "opswap": "opswap v1"}


def write_paper(output: Path, paper: str, wanted: Wanted | None = None) -> bool:
    """Print the sweep in `output` beside a published table, and write it to `paper_<paper>.md`, `.tex` and `.csv`.

    Two more files of CSV have the criteria and, where there are several, the shares of interleaving.

    Args:
        output: of the sweep, or any other folder for several worlds.
        paper: one of `PAPERS`.
        wanted: as for `make_report`.

    Returns:
        False, and writes nothing, if no arm is done.

    Raises:
        SafeguardError: as `make_report` and `our_side`.
    """
    report = make_report(output, wanted)
    if report is None:
        return False
    table = published_table(PAPERS[paper])
    side = our_side(report, table, benign=all(row.benign_accuracy is not None for row in table.rows))
    lines, judged, shares = lines_of(table, side), judge(report), share_rows(table, side)
    tables = [
        beside(table, side, make_table(LINES, lines, "Published, and here")),
        by_criteria(make_table(JUDGED, judged, "Four criteria")),
        make_table(PUBLISHED, of_sources(), "The thresholds on the published numbers"),
    ]
    tables += [make_table(SHARES, shares, "How much interleaving")] * bool(shares)
    name = f"paper_{paper}"
    write_text(report.path(name, "md"), "\n\n".join(in_markdown(tables, report.warnings)) + "\n")
    write_text(report.path(name, "tex"), "\n\n".join(map(as_latex, tables)) + "\n")
    write_text(report.path(name, "csv"), as_csv(LINES, lines))
    write_text(report.path(f"{name}_criteria", "csv"), as_csv((*JUDGED, *VALUES), judged))
    if shares:
        write_text(report.path(f"{name}_shares", "csv"), as_csv(SHARES, shares))
    for each in tables:
        print_table(each)
    for line in report.warnings:
        print(f"warning: {plain(line)}")
    print(plain(f"{report.path(name, 'md')}, .tex and .csv have this"))
    return True


def beside(table: PublishedTable, side: Side, made: Table) -> Table:
    """The table with what must be known of both sides."""
    there = (
        f"Published: {table.source}, arXiv {table.arxiv}, {table.table}; {table.model}; {table.unit}; {table.taken}."
    )
    judged = f"Judge there: {table.judge}."
    levels = (
        f"Levels cannot be compared, only directions: {'; '.join(side.reasons)}."
        if side.reasons
        else "Model, task and judge are the published ones, so that levels can be compared."
    )
    return replace(made, caption=" ".join([there, judged, levels, made.caption]))


def by_criteria(made: Table) -> Table:
    """The table with where the source's symbols stand."""
    where, _ = published_criteria()
    return replace(made, caption=f"Published: {where}. {made.caption}")
