"""The comparison as JSON, Markdown, LaTeX, CSV and a plot, and as tables in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from experiments.records.arm_files import ARMS
from experiments.records.files import write_json, write_text
from experiments.records.measures import BROAD_MISALIGNED
from experiments.records.sweep_file import SweepFile, read_sweep
from experiments.report.agreement import AGREEMENT, compare_judges
from experiments.report.arms import Arm, read_arms
from experiments.report.captions import baseline_of, introduction
from experiments.report.cautions import cautions
from experiments.report.choice_columns import ALL, CHOICES
from experiments.report.choices import choice_rows
from experiments.report.class_agreement import CLASS_AGREEMENT
from experiments.report.columns import BROAD, DETAILS, MAIN, SIDE_EFFECTS, benign_tasks
from experiments.report.comparison import compare
from experiments.report.domain_columns import IN_DOMAIN, by_task, task_rows
from experiments.report.doses import DOSES, over_doses
from experiments.report.labels import group_arms
from experiments.report.margins_table import KEPT, VERDICTS, kept_table
from experiments.report.over_worlds import read_over_worlds
from experiments.report.places import stem
from experiments.report.question_tables import LINES, concentration, lines_of
from experiments.report.questions import question_rows
from experiments.report.row import ComparisonRow
from experiments.report.safe_rows import GENRES, genre_rows, of_pools
from experiments.report.table import Table, as_csv, as_latex, as_markdown, make_table, print_table
from experiments.terminal.escaping import markdown, plain
from safeguards.composition import NONE
from safeguards.errors import SafeguardError


def write_report(
    output: Path,
    judge: str | None = None,
    everything: bool = False,
    baseline: str | None = None,
    worlds: Sequence[Path] = (),
) -> bool:
    """Write the comparison of the sweep in `output` to `comparison.json`, `.md`, `.tex`, `.csv` and `.png`; print it.

    Beside it is `by_question.csv`, which has a line for each question and safeguard.

    By another `judge` than the one that the sweep goes by, the files are `comparison.<judge>.json` and so on; of
    `everything` that was ever asked for under this name, and not by the last command only, `comparison.all.json`;
    against another `baseline` than that of the sweep, `comparison.against_<baseline>.json`.

    Of several `worlds`, the folders of their sweeps, the comparison is over all of them and `output` any other folder.
    Their questions are not the same and their records lie apart, so that there are no questions and no other judges.

    Returns:
        False, and writes nothing, if no arm is done.

    Raises:
        SafeguardError: if there is no such baseline, or `worlds` cannot be set beside each other.
    """
    sweeps = [read_sweep(each) for each in worlds or [output]]
    sweep = sweeps[0]
    left_out: dict[str, None] = {}  # each is reported once
    arms = (
        read_over_worlds(worlds, judge, everything, left_out.setdefault)
        if worlds
        else read_arms(output, judge, everything, left_out.setdefault)
    )
    missing = sum(len(each.planned(everything)) for each in sweeps) - len(arms) - len(left_out)
    if not arms:
        print(*left_out, sep="\n", file=sys.stderr)
        return False
    agreement = [] if worlds else compare_judges(output, everything, left_out.setdefault)
    name = stem("comparison", sweep, judge, everything, baseline)
    closer = stem("by_question", sweep, judge, everything)
    rows, unlike = compare_or_say(arms, baseline, sweep)
    warned = [*unlike, *cautions(rows), *left_out]
    if missing > 0:
        by = judge or sweep.judge
        warned.append(f"{missing} arms are not done, or not scored by {by}: they are not in the tables")
    tables, judges = make_tables(rows), []
    if agreement:
        by_class = [each for pair in agreement for each in pair.classes]
        judges = [make_table(AGREEMENT, agreement), make_table(CLASS_AGREEMENT, by_class)]

    families = over_doses(rows, list(group_arms(arms).values()))
    if any(family.doses > 1 for family in families):
        tables.append(make_table(DOSES, families))

    choices = choice_rows(arms, baseline_of(rows))
    if choices:
        tables.append(make_table(CHOICES, choices))
        write_text(output / f"{stem('choices', sweep, judge, everything, baseline)}.csv", as_csv(ALL, choices))

    if said := of_pools(arms):
        tables = [replace(table, caption=f"{table.caption} {said}".strip()) for table in tables]
    genres = genre_rows(arms)
    if genres:
        tables.append(make_table(GENRES, genres))

    found: dict[str, Any] = {} if baseline_of(rows) == NONE else {"baseline": baseline_of(rows)}
    found |= {"rows": [row.as_json() for row in rows]}
    if families:
        found["doses"] = [family.as_json() for family in families]
    if choices:
        found["choices"] = [row.as_json() for row in choices]
    if genres:
        found["genres"] = [asdict(row) for row in genres]
    write_json(
        output / f"{name}.json", found | {"judges": [pair.as_json() for pair in agreement]} if agreement else found
    )
    parts = [part for table in tables for part in (as_markdown(table), markdown(table.caption))]
    parts += [f"**{markdown(line)}**" for line in warned] + [*map(as_markdown, judges)]
    write_text(output / f"{name}.md", "\n\n".join(parts) + "\n")
    write_text(output / f"{name}.tex", "\n\n".join(map(as_latex, tables + judges)) + "\n")
    columns = (*MAIN, *BROAD, *SIDE_EFFECTS, *benign_tasks(rows), *DETAILS, *KEPT, *VERDICTS, *by_task(rows))
    write_text(output / f"{name}.csv", as_csv(columns, rows))
    questions = [] if worlds else question_rows(output, arms)
    if questions:
        write_text(output / f"{closer}.csv", as_csv(LINES, lines_of(questions)))
    for table in tables:
        print_table(table)
    for line in warned:
        print(f"warning: {plain(line)}")
    for table in judges:
        print_table(table)
    from experiments.report.plots import plot_comparison

    plot_comparison(rows, output / f"{name}.png")
    places = ", ".join(str(each / ARMS) for each in worlds or [output])
    print(plain(f"{output / name}.md, .json, .csv, .tex and .png; every answer in {places}"))
    if said := concentration(questions):
        print(plain(f"{said}; {output / closer}.csv has them by question"))
    if not everything and (earlier := sum(len(each.earlier) for each in sweeps)):
        of = f" worlds={','.join(each.name for each in worlds)}" if worlds else ""
        again = f"python -m experiments.tables name={output.name}{of} output={output.parent} --all"
        print(plain(f"{earlier} arms of other commands lie there, too; to compare all: {again}"))
    return True


def compare_or_say(arms: Sequence[Arm], typed: str | None, sweep: SweepFile) -> tuple[list[ComparisonRow], list[str]]:
    """The rows against the baseline that was typed, or that the sweep goes by; in its place `none`, and why.

    Raises:
        SafeguardError: if there is no such baseline as was typed.
    """
    if typed:
        return compare(arms, typed, sweep.claims), []
    try:
        return compare(arms, sweep.baseline, sweep.claims), []
    except SafeguardError as error:  # it may not be done
        return compare(arms, claims=sweep.claims), [f"{error}; rows are set against {NONE}"]


def make_tables(rows: Sequence[ComparisonRow]) -> list[Table]:
    """The tables for people, without those that say nothing; the first begins with what was run."""
    scored = [row for row in rows if row.rates[BROAD_MISALIGNED].n]
    main, *others = make_table(MAIN, rows), make_table(BROAD, scored), make_table(SIDE_EFFECTS, rows)
    main = replace(main, caption=f"{introduction(rows)} {main.caption}")
    of_tasks = make_table(IN_DOMAIN, task_rows(rows)), make_table(benign_tasks(rows), rows)
    tables = (main, *others, kept_table(rows), *of_tasks)
    return [table for table in tables if len(table.cells.columns) > 1]
