"""The tables by question: for people, and the lines of the file for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from experiments.records.names import NARROW, UNTOUCHED
from experiments.report.questions import Answered, QuestionRow
from experiments.report.table import Column, Table, as_csv, make_table
from experiments.statistics.estimates import NOTHING, Estimate

# Characters of a question that people see.
LONGEST = 32
# The groups of questions that people get tables of; programs get all.
TITLES = {"broad": "Broad questions", NARROW: "Questions of the task"}


class Line(NamedTuple):
    """What the CSV by question has a line for."""

    row: QuestionRow
    safeguard: str
    answered: Answered


LINES: tuple[Column[Line], ...] = (
    Column("group", "group", lambda line: line.row.group),
    Column("world", "world", lambda line: line.row.world),
    Column("set", "set", lambda line: line.row.set),
    Column("question", "question", lambda line: line.row.question),
    Column("text", "text", lambda line: line.row.text),
    Column("variants", "variants", lambda line: line.row.variants),
    Column("all_answers", "all answers", lambda line: line.row.answers),
    Column("all_misaligned", "all misaligned", lambda line: line.row.misaligned),
    Column("of_answers", "of answers", lambda line: line.row.of_answers),
    Column("share", "share", lambda line: line.row.share),
    Column("sum", "sum", lambda line: line.row.together),
    Column("safeguard", "safeguard", lambda line: line.safeguard),
    Column("arms", "arms", lambda line: line.answered.arms),
    Column("answers", "answers", lambda line: line.answered.answers),
    Column("misaligned", "misaligned", lambda line: line.answered.misaligned),
    Column("incoherent", "incoherent", lambda line: line.answered.incoherent),
    Column("share_of_safeguard", "share of safeguard", lambda line: line.answered.share),
)


def lines_of(rows: Sequence[QuestionRow]) -> str:
    """As CSV, a line for every question and safeguard; it says the world where there are several."""
    lines = [Line(row, *held) for row in rows for held in row.by_safeguard.items()]
    several = any(row.world for row in rows)
    return as_csv([column for column in LINES if several or column.key != "world"], lines)


def concentration(rows: Sequence[QuestionRow]) -> str:
    """How few of the broad questions carry how much of the misalignment; nothing where there is none."""
    own = [row for row in rows if row.group == "broad"]
    half, most = (1 + sum((row.together or 0.0) < part for row in own) for part in (0.5, 0.9))
    misaligned = sum(row.misaligned for row in own)
    if not misaligned:
        return ""
    return f"half of the {misaligned} misaligned answers are to {half} of {len(own)} broad questions, 90 % to {most}"


def question_columns(safeguards: Sequence[str], outcome: str) -> tuple[Column[QuestionRow], ...]:
    """How often an outcome there was by question, with a column for each safeguard."""

    def after(name: str) -> Column[QuestionRow]:
        def rate(row: QuestionRow) -> Estimate:
            found: Estimate = getattr(row.by_safeguard[name], outcome) if name in row.by_safeguard else NOTHING
            return found

        return Column(f"{name}.{outcome}", f"{name} %", rate)

    head: tuple[Column[QuestionRow], ...] = (
        Column("text", "question", lambda row: row.text, lambda row: cut(row.text)),
        Column("world", "world", lambda row: row.world),
        Column(
            "set",
            "set",
            lambda row: row.set,
            lambda row: row.set.replace("_", " "),
            needed=lambda rows: len({row.set for row in rows}) > 1,
        ),
    )
    carried: tuple[Column[QuestionRow], ...] = (
        Column("variants", "variants", lambda row: row.variants),
        Column("answers", "answers", lambda row: row.answers, each_answers, "Answers: after each safeguard."),
        Column(
            "share",
            "share %",
            lambda row: row.share,
            lambda row: share(row.share),
            "Share: of all misaligned answers to these questions, after all safeguards, those to this one; sum: with "
            "those above.",
        ),
        Column("sum", "sum %", lambda row: row.together, lambda row: share(row.together)),
    )
    return (*head, *(carried if outcome == "misaligned" else ()), *map(after, safeguards))


def cut(text: str) -> str:
    """Its beginning."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def each_answers(row: QuestionRow) -> str:
    """How many after each safeguard, and that they are not equally many."""
    numbers = [held.answers for held in row.by_safeguard.values()]
    return "–".join(map(str, sorted({min(numbers), max(numbers)})))


def share(part: float | None) -> str:
    """In percent."""
    return "" if part is None else f"{100 * part:.1f}"


def question_tables(rows: Sequence[QuestionRow], most: int | None = None, few: int | None = None) -> list[Table]:
    """For people: the broad questions and those of the task, by misaligned and by incoherent answers.

    Args:
        rows: all of them.
        most: so many questions of each table at most.
        few: so many safeguards.
    """
    found = []
    for group, title in TITLES.items():
        own = [row for row in rows if row.group == group]
        named = list(dict.fromkeys(name for row in own for name in row.by_safeguard))
        safeguards = sorted(named, key=lambda name: name.split()[0] == UNTOUCHED)  # the last to be shown
        for outcome in ("misaligned", "incoherent") if own else ():
            table = make_table(question_columns(safeguards[:few], outcome), own[:most])
            others = "other fine-tunes" if several(own) else "other answers of the one fine-tune"
            said = f"{title}, {outcome}: rates of this very question, with 95 % intervals for {others}."
            left = {"questions": len(own) - len(own[:most]), "safeguards": len(safeguards) - len(safeguards[:few])}
            more = " and ".join(f"{count} more {what}" for what, count in left.items() if count)
            captions = [said, table.caption, f"Not shown here: {more}." if more else ""]
            found.append(replace(table, caption=" ".join(filter(None, captions))))
    return found


def several(rows: Sequence[QuestionRow]) -> bool:
    """Whether some safeguard has several fine-tunes that were asked."""
    return any(held.arms > 1 for row in rows for held in row.by_safeguard.values())
