"""Records: one answer each, on disk. Every number in a table comes from here and can be redone without a model.

outputs/<name>/arms/<arm>/
    config.yaml      the arm's resolved configuration
    training.jsonl   the training log
    answers.jsonl    a record per answer
    result.json      measures and timings; written last, so an arm counts as done only when all of it is there
    error.txt        instead of result.json, why the arm stopped
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ANSWERS, RESULT, ERROR = "answers.jsonl", "result.json", "error.txt"


@dataclass(frozen=True)
class Record:
    """One answer of one arm to one probe, and what a judge said of it."""

    safeguard: str
    task: str
    seed: int
    set: str
    question: str
    cluster: str
    sample: int
    messages: list[dict[str, str]]
    answer: str
    judge: str
    outcome: str
    reason: str


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text, "utf-8")
    unfinished.replace(path)


def write_records(folder: Path, records: Iterable[Record]) -> None:
    """All answers of an arm."""
    lines = (json.dumps(asdict(record), ensure_ascii=False) + "\n" for record in records)
    write_text(folder / ANSWERS, "".join(lines))


def read_records(folder: Path) -> list[Record]:
    """All answers of an arm that is done."""
    with (folder / ANSWERS).open(encoding="utf-8") as file:
        return [Record(**json.loads(line)) for line in file]


def write_result(folder: Path, result: dict[str, Any]) -> None:
    """Mark an arm as done."""
    write_text(folder / RESULT, json.dumps(result, indent=2) + "\n")


def read_result(folder: Path) -> dict[str, Any] | None:
    """The result of an arm, or None if it is not done."""
    path = folder / RESULT
    if not path.is_file():
        return None
    result: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return result
