"""A closer look than the comparison: tables by question, by task, by seed or by world, in files and in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from experiments.records.files import write_text
from experiments.records.sweep_file import read_sweep
from experiments.report.arms import Arm, read_arms
from experiments.report.over_worlds import read_over_worlds
from experiments.report.parts import Part, part_columns, part_rows
from experiments.report.places import stem
from experiments.report.question_tables import concentration, lines_of, question_tables
from experiments.report.questions import question_rows
from experiments.report.safe_rows import of_pools
from experiments.report.source_tables import source_tables, sources_csv
from experiments.report.sources import parts_known, source_rows
from experiments.report.table import Table, as_csv, as_latex, as_markdown, make_table, print_table, terminal
from experiments.terminal.escaping import markdown, plain
from safeguards.errors import SafeguardError

By = Literal["question", "source", Part]
# What a terminal gets of a table; files have all. A safeguard takes so many letters beside those of the question.
MOST_QUESTIONS, MOST_SAFEGUARDS, MOST_PARTS = 20, 6, 100
OF_QUESTION, OF_SAFEGUARD = 80, 18


@dataclass(frozen=True)
class Look:
    """What is to be seen: for programs, in whole for people, at most so much in a terminal, and in one sentence."""

    csv: str
    whole: Sequence[Table]
    top: Sequence[Table]
    said: str = ""


def look_closer(
    output: Path, by: By, judge: str | None = None, everything: bool = False, worlds: Sequence[Path] = ()
) -> bool:
    """Write the table of a sweep `by` question, task, … to `by_<it>.csv`, `.md` and `.tex`, and print its top.

    Args:
        output, judge, everything, worlds: as for `make_report`.
        by: which.

    Returns:
        False, and writes nothing, if no arm is done.

    Raises:
        SafeguardError: if the arms have nothing of the kind.
    """
    sweeps = [read_sweep(each) for each in worlds or [output]]
    left_out: dict[str, None] = {}
    arms = (
        read_over_worlds(worlds, judge, everything, left_out.setdefault)
        if worlds
        else read_arms(output, judge, everything, left_out.setdefault)
    )
    print(*left_out, sep="\n", end="\n" * bool(left_out), file=sys.stderr)
    if not arms:
        return False
    if by == "question":
        look = by_question(output, arms)
    else:
        look = by_source(output, arms) if by == "source" else by_part(output, arms, by)
    if pools := of_pools(arms):
        whole, top = (
            [replace(table, caption=f"{table.caption} {pools}".strip()) for table in tables]
            for tables in (look.whole, look.top)
        )
        look = replace(look, whole=whole, top=top)
    path = output / stem(f"by_{by}", sweeps[0], judge, everything)
    in_markdown = [f"{as_markdown(table)}\n\n{markdown(table.caption)}" for table in look.whole]
    for ending, text in {"csv": look.csv, "md": joined(in_markdown), "tex": joined(map(as_latex, look.whole))}.items():
        write_text(path.with_name(f"{path.name}.{ending}"), text)
    for table in look.top:
        print_table(table)
    if look.said:
        print(look.said)
    if missing := sum(len(each.planned(everything)) for each in sweeps) - len(arms) - len(left_out):
        by_judge = plain(judge or sweeps[0].judge)
        print(f"warning: {missing} arms are not done, or not scored by {by_judge}: they are not in the tables")
    print(plain(f"{path}.csv, .md and .tex have all of it"))
    return True


def by_question(output: Path, arms: Sequence[Arm]) -> Look:
    """The misaligned and the incoherent answers to each question."""
    rows = question_rows(output, arms)
    if not rows:
        raise SafeguardError(f"{output}: all tasks are benign, so no question tells misalignment; look at --by task")
    fitting = max(1, (terminal().width - OF_QUESTION) // OF_SAFEGUARD)
    top = question_tables(rows, MOST_QUESTIONS, min(MOST_SAFEGUARDS, fitting))
    return Look(lines_of(rows), question_tables(rows), top, concentration(rows))


def by_source(output: Path, arms: Sequence[Arm]) -> Look:
    """What domains, worlds and seeds each add to the variance of broad misaligned."""
    if all(arm.benign for arm in arms):
        raise SafeguardError(f"{output}: all tasks are benign, so no domain breaks anything; look at --by task")
    rows = source_rows(arms)
    if not rows:
        raise SafeguardError(f"{output}: no broad answer has a score; let experiments.rescore score them")
    if not parts_known(rows):
        raise SafeguardError(
            f"{output}: one domain, one world and one seed of each safeguard, so that nothing can be parted; run "
            "several of one of them (seed=0,1,2)"
        )
    return Look(sources_csv(rows), source_tables(rows), source_tables(rows, MOST_PARTS))


def by_part(output: Path, arms: Sequence[Arm], by: Part) -> Look:
    """The headline measures by task, by seed or by world."""
    worlds = any(arm.world for arm in arms)
    if by == "world" and not worlds:
        raise SafeguardError(f"{output}: has one world; run more, with model.world=…, or leave --by world away")
    rows, columns = part_rows(arms, by), part_columns(by, worlds)
    whole, top = make_table(columns, rows), make_table(columns, rows[:MOST_PARTS])
    if left := len(rows[MOST_PARTS:]):
        top = replace(top, caption=f"{top.caption} Not shown here: {left} more rows.")
    return Look(as_csv(columns, rows), [whole], [top])


def joined(parts: Iterable[str]) -> str:
    """The text of a file."""
    return "\n\n".join(parts) + "\n"
