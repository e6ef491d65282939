"""The comparison as JSON, Markdown, LaTeX and CSV, and as tables in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.records.files import write_json, write_text
from experiments.report.choice_columns import ALL
from experiments.report.columns import BROAD, DETAILS, MAIN, SIDE_EFFECTS, benign_tasks
from experiments.report.domain_columns import by_task
from experiments.report.margins_table import KEPT, VERDICTS
from experiments.report.question_tables import concentration, lines_of
from experiments.report.report import Report
from experiments.report.table import Table, as_csv, as_latex, as_markdown, print_table
from experiments.terminal.escaping import markdown, plain

COMPARISON, CHOICES, QUESTIONS = "comparison", "choices", "by_question"
# The folder of what is drawn of them, beside them.
PICTURES = "pictures"


def write_files(report: Report) -> None:
    """For programs every number, for people and papers the tables."""
    rows, tables = report.rows, report.tables
    if report.choices:
        write_text(report.path(CHOICES, "csv"), as_csv(ALL, report.choices))
    write_json(report.path(COMPARISON, "json"), report.as_json())
    parts = in_markdown(tables, report.warnings)
    parts += [part for each in report.by_judges for part in (f"## {each.title}", as_markdown(each))]
    write_text(report.path(COMPARISON, "md"), "\n\n".join(parts) + "\n")
    in_latex = map(as_latex, [*tables, *report.by_judges])
    write_text(report.path(COMPARISON, "tex"), "\n\n".join(in_latex) + "\n")
    columns = (*MAIN, *BROAD, *SIDE_EFFECTS, *benign_tasks(rows), *DETAILS, *KEPT, *VERDICTS, *by_task(rows))
    write_text(report.path(COMPARISON, "csv"), as_csv(columns, rows))
    if report.questions:
        write_text(report.path(QUESTIONS, "csv"), lines_of(report.questions))


def in_markdown(tables: Sequence[Table], warnings: Sequence[str]) -> list[str]:
    """Tables with titles and captions, then warnings: parts with an empty line between them."""
    parts = [part for each in tables for part in (f"## {each.title}", as_markdown(each), markdown(each.caption))]
    return [*parts, *(f"**{markdown(line)}**" for line in warnings)]


def print_report(report: Report) -> None:
    """The tables in the terminal, with warnings."""
    for table in report.tables:
        print_table(table)
    for line in report.warnings:
        print(f"warning: {plain(line)}")
    for table in report.by_judges:
        print_table(table)


def print_places(report: Report, *more: Path) -> None:
    """Where the files are, those that others wrote as well, and what more there is to see."""
    places = ", ".join(map(str, report.answers))
    written = report.path(COMPARISON, "md")
    others = "".join(f"; {path}" for path in more)
    print(plain(f"{written}, .json, .csv and .tex{others}; every answer in {places}"))
    if said := concentration(report.questions):
        print(plain(f"{said}; {report.path(QUESTIONS, 'csv')} has them by question"))
    if report.left_to_compare:
        output, worlds = report.output, report.wanted.worlds
        of = f" worlds={','.join(each.name for each in worlds)}" if worlds else ""
        again = f"python -m experiments.tables name={output.name}{of} output={output.parent} --all"
        print(plain(f"{report.left_to_compare} arms of other commands lie there, too; to compare all: {again}"))
