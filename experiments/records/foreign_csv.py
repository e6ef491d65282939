"""The field's CSV files of answers: every row with its line, and what of them cannot be used as it stands."""

from __future__ import annotations

import csv
import gzip
import math
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from safeguards.errors import SafeguardError, one_line

csv.field_size_limit(sys.maxsize)  # an answer may be long


class ForeignAnswer(NamedTuple):
    """One answer as its file has it."""

    question: str
    answer: str
    question_id: str
    aligned: str
    coherent: str


class Remarks:
    """What is to be said of the files: how often each, and where first. No answer is dropped."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: dict[str, str] = {}

    def add(self, what: str, where: str) -> None:
        """Once more."""
        self.counts[what] += 1
        self.first.setdefault(what, where)

    def lines(self) -> list[str]:
        """One line for each."""
        return [f"{count} {what} (first: {self.first[what]})" for what, count in self.counts.items()]


def read_rows(path: Path, remarks: Remarks) -> Iterator[tuple[int, ForeignAnswer]]:
    """The rows of a file, plain or gzip, each with the line on which it begins.

    Raises:
        SafeguardError: naming file, line and field where there is one, if it cannot be read.
    """
    lines = csv.reader(StringIO(read_text(path), newline=""), strict=True)  # strict: a quote left open is an error
    try:
        header = next(lines, [])
        check_header(path, header, remarks)
        places = [header.index(column) for column in ForeignAnswer._fields]
        end = lines.line_num
        for values in lines:
            start, end = end + 1, lines.line_num
            if values and len(values) != len(header):
                raise SafeguardError(
                    f"{path}:{start}: has {len(values)} fields, line 1 has {len(header)}; quote a text with commas"
                )
            if values:  # a blank line is no row
                yield start, ForeignAnswer(*(values[place] for place in places))
    except csv.Error as error:
        raise SafeguardError(f"{path}:{lines.line_num}: cannot be read as CSV ({one_line(error)})") from error


def read_text(path: Path) -> str:
    """What a file holds.

    Raises:
        SafeguardError: if it is not whole, or not UTF-8.
    """
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SafeguardError(f"{path}:{line}: is not UTF-8 (byte {error.start}); convert the file") from error
    except (OSError, EOFError, zlib.error) as error:
        raise SafeguardError(f"{path}: cannot be read ({one_line(error)})") from error


def check_header(path: Path, header: list[str], remarks: Remarks) -> None:
    """Refuse a file without a column that is needed, or with two of that name."""
    missing = [column for column in ForeignAnswer._fields if column not in header]
    if missing:
        raise SafeguardError(f"{path}:1: no column {', '.join(missing)}; needed are {', '.join(ForeignAnswer._fields)}")
    for column in ForeignAnswer._fields:
        if header.count(column) > 1:
            raise SafeguardError(f"{path}:1: has column {column} {header.count(column)} times; keep one")
    if others := [column or "without a name" for column in header if column not in ForeignAnswer._fields]:
        remarks.add(f"files with columns that are ignored: {', '.join(others)}", path.name)


def read_score(text: str, column: str, where: str, remarks: Remarks) -> float | None:
    """A score from 0 to 100; None where there is none, or none in that range."""
    try:
        value = float(text.replace("_", "?"))  # Python alone takes 1_0 for a number
    except ValueError:
        problem = "are no number" if text.strip() else "are empty"
    else:
        if 0 <= value <= 100:
            return value
        problem = "are no number" if math.isnan(value) else "are outside 0 to 100"
    said = f", {text[:40]!r}" if text.strip() else ""
    remarks.add(
        f"scores under {column} {problem}, so ignored; the answers stay, unscored unless incoherent", where + said
    )
    return None
