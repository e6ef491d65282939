"""Text, JSON and JSON lines on disk: written as a whole or not at all, and refused where they cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from safeguards.errors import SafeguardError, one_line
from safeguards.files import whole

Record = TypeVar("Record")


class DamagedError(SafeguardError):
    """Records that cannot be used as they are. The sweep sets them aside and makes them again."""


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is there as a whole or not at all."""
    write_lines(path, [text])


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a file line by line (each with its own end), so that it is there as a whole or not at all."""
    with whole(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        file.writelines(lines)


def is_number(value: Any) -> bool:
    """Whether a value of a JSON file is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_records(path: Path, kind: Callable[[Any], Record]) -> Iterator[Record]:
    """A record per line.

    Raises:
        DamagedError: naming file and line, if one cannot be read.
    """
    read = 0
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                read += 1
                yield kind(json.loads(line))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DamagedError(f"{path}:{read}: cannot be read ({one_line(error)})") from error


def read_object(path: Path) -> dict[str, Any] | None:
    """A JSON object; None if there is no such file.

    Raises:
        DamagedError: naming the file, if it cannot be read.
    """
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedError(f"{path}: cannot be read ({one_line(error)})") from error
    if not isinstance(found, dict):
        raise DamagedError(f"{path}: cannot be read (not a JSON object)")
    return found


def write_json(path: Path, values: Any) -> None:
    """Write a JSON file as a whole or not at all."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
