"""Labels: outcomes that people give to answers, from a CSV file that they fill in to scores beside those of judges.

labels.csv      a row per answer to label: id, question, answer, and an empty outcome; in no order, and without the arm
                and what a judge said, so that nobody is swayed
drawn.json      how they were drawn: the judge that is to be corrected, how many per row of a comparison, the seed

An id names an answer's place and says what its text was, so that a label stays with the text that was read.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import NamedTuple, cast

from experiments.records.answer import Answer
from experiments.records.arm_files import ARMS, judges_of, read_answers, read_judge, read_result, write_scores
from experiments.records.files import read_object, write_json, write_text
from experiments.records.foreign_csv import read_text
from experiments.records.locks import locked
from experiments.records.outcomes import OUTCOMES, Outcome, Score, unscored
from experiments.records.sweep_file import read_sweep
from safeguards.errors import SafeguardError, one_line
from safeguards.files import digest

SHEET, DRAWN = "labels.csv", "drawn.json"
COLUMNS = ("id", "question", "answer", "outcome")
GIVEN = tuple(outcome for outcome in OUTCOMES if outcome != "unscored")
# What the settings of a judge say of people, and what says there which judge's answers were drawn.
LABELS, CORRECTS = "labels", "corrects"
# Of the labels of a row, the part for answers that the judge finds misaligned. Where these are rare, most of the doubt
# is in how much is hidden among the others.
FOUND_SHARE = 1 / 3
# Spreadsheets take a cell that begins so for a formula.
FORMULA = re.compile(r"[=+\-@\t\r]")


@dataclass(frozen=True)
class Drawn:
    """How answers were drawn for labelling.

    Args:
        judge: whose verdicts they were drawn by.
        per_row: labels of a row of the comparison.
        seed: of the draw.
        sides: of each row how many answers the judge finds misaligned and how many it does not, and how many are drawn.
    """

    judge: str
    per_row: int
    seed: int
    sides: dict[str, dict[str, list[int]]]


class Label(NamedTuple):
    """A row of a sheet that a person filled in."""

    line: int
    id: str
    outcome: Outcome


class Kept(NamedTuple):
    """The name under which labels are kept, how many, and the judge that they correct."""

    name: str
    labels: int
    corrects: str


def split_labels(labels: int, found: int, others: int) -> tuple[int, int]:
    """How many are labelled of the answers that a judge finds, and of the others: a third, where there are so many."""
    of_found = min(found, max(round(labels * FOUND_SHARE), labels - others))
    return of_found, min(others, labels - of_found)


def answer_id(folder: str, place: int, answer: Answer) -> str:
    """Names an answer of an arm's folder; begins with a letter, since a spreadsheet takes 12e5 for a number."""
    where, text = place_of(folder, place), digest("\0".join([*(m["content"] for m in answer.messages), answer.answer]))
    return f"{where}-{text[:10]}"


def place_of(folder: str, place: int) -> str:
    """The part of an id that says where an answer is, and nothing about it to who reads it."""
    return f"a{digest(f'{folder}:{place}')[:10]}"


def write_sheet(path: Path, answers: Iterable[tuple[str, Answer]]) -> None:
    """A sheet to fill in. What a spreadsheet would take for a formula has a ' before it; the text is not read again."""
    text = StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    for name, answer in answers:
        asked = "\n\n".join(
            m["content"] if m["role"] == "user" else f"[{m['role']}] {m['content']}" for m in answer.messages
        )
        rows.writerow([name, *(f"'{cell}" if FORMULA.match(cell) else cell for cell in (asked, answer.answer)), ""])
    write_text(path, "\ufeff" + text.getvalue())  # so that spreadsheets read it as UTF-8


def read_sheet(path: Path) -> list[Label]:
    """The labels of a sheet, without rows that are not filled in yet. Other columns than id and outcome do not count.

    Raises:
        SafeguardError: naming file and line, if it cannot be read, or an outcome is none.
    """
    text = read_text(path)
    separator = max(",;\t", key=text.partition("\n")[0].count)  # spreadsheets of some countries write semicolons
    lines = csv.reader(StringIO(text, newline=""), strict=True, delimiter=separator)
    found = []
    try:
        header = [cell.strip().lower() for cell in next(lines, [])]
        if missing := [column for column in ("id", "outcome") if header.count(column) != 1]:
            raise SafeguardError(f"{path}:1: needs one column {missing[0]}; fill in the file that draw_labels wrote")
        end = lines.line_num
        for cells in lines:
            start, end = end + 1, lines.line_num
            if not any(cells):
                continue
            if len(cells) != len(header):
                raise SafeguardError(f"{path}:{start}: has {len(cells)} fields, line 1 has {len(header)}")
            name, outcome = (cells[header.index(column)].strip() for column in ("id", "outcome"))
            if outcome and outcome.lower() not in GIVEN:
                known = f"write {', '.join(GIVEN)}, or leave it empty"
                raise SafeguardError(f"{path}:{start}: unknown outcome {outcome[:40]!r}; {known}")
            if outcome:
                found.append(Label(start, name, cast(Outcome, outcome.lower())))
    except csv.Error as error:
        raise SafeguardError(f"{path}:{lines.line_num}: cannot be read as CSV ({one_line(error)})") from error
    return found


def read_drawn(output: Path) -> Drawn | None:
    """How the answers of a sweep were drawn; None if none were."""
    return read_object(output / DRAWN, Drawn)


def write_drawn(output: Path, drawn: Drawn) -> None:
    """Keep how the answers of a sweep were drawn."""
    write_json(output / DRAWN, asdict(drawn))


def keep_labels(output: Path, path: Path) -> Kept:
    """Make the labels of a sheet scores of a judge named after the file; those that it gave before are replaced.

    Raises:
        SafeguardError: naming the line, if one is of no answer of this sweep, of one whose text has changed since, or
            says otherwise than another line; or if nothing was drawn here, or nothing is filled in.
    """
    if (drawn := read_drawn(output)) is None:
        raise SafeguardError(f"{output}: nothing was drawn to be labelled; run experiments.draw_labels with its name")
    name = re.sub(r"[^\w.+-]", "_", path.name.removesuffix(".csv"))
    folders = [output / ARMS / arm.folder for arm in read_sweep(output).planned(everything=True)]
    folders = [folder for folder in folders if read_result(folder) is not None]
    for folder in folders:
        if name in judges_of(folder) and not is_labels(read_judge(folder, name)):
            raise SafeguardError(f"{path}: {name} is a judge that has scored {folder.name}; rename the file")
    labels = read_sheet(path)
    if not labels:
        raise SafeguardError(f"{path}: no outcome is filled in; write {', '.join(GIVEN)} under outcome")
    by_place = {label.id.partition("-")[0]: label for label in _without_doubles(path, labels)}
    scored = {folder: list(_scores(folder, by_place, path)) for folder in folders}
    if by_place:  # what no answer has claimed
        first = min(by_place.values())
        other = f"; all are: is it a file of another sweep than {output.name}?" if len(by_place) == len(labels) else ""
        raise SafeguardError(
            f"{path}:{first.line}: {first.id[:40]!r} is no answer of this sweep{other or '; remove the line'}"
        )
    for folder, scores in scored.items():
        if any(score.outcome != "unscored" for score in scores) or name in judges_of(folder):
            with locked(output, folder.name):
                write_scores(folder, name, scores, {"kind": LABELS, CORRECTS: drawn.judge})
    return Kept(name, len({label.id for label in labels}), drawn.judge)


def is_labels(settings: dict[str, object] | None) -> bool:
    """Whether settings of a judge are those of people."""
    return settings is not None and settings.get("kind") == LABELS


def _without_doubles(path: Path, labels: Sequence[Label]) -> Iterator[Label]:
    known: dict[str, Label] = {}
    for label in labels:
        first = known.setdefault(label.id.partition("-")[0], label)
        if first.outcome != label.outcome:
            both = f"{label.outcome} here, {first.outcome} on line {first.line}"
            raise SafeguardError(f"{path}:{label.line}: {label.id[:40]} is labelled twice, {both}; keep one")
        if first is label:
            yield label


def _scores(folder: Path, by_place: dict[str, Label], path: Path) -> Iterator[Score]:
    """A score per answer of an arm; takes out of `by_place` what it finds there."""
    for place, answer in enumerate(read_answers(folder)):
        label = by_place.pop(place_of(folder.name, place), None)
        if label is not None and label.id != answer_id(folder.name, place, answer):
            raise SafeguardError(
                f"{path}:{label.line}: the text of {label.id[:40]} has changed since it was drawn; draw and label anew"
            )
        yield unscored("not labelled") if label is None else Score(label.outcome, "by a person")
