"""Text, JSON and JSON lines on disk: written as a whole or not at all, and refused where they cannot be read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from safeguards.errors import SafeguardError, one_line
from safeguards.files import whole

if TYPE_CHECKING:
    from pydantic import TypeAdapter

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


def read_records(path: Path, kind: type[Record]) -> Iterator[Record]:
    """A record per line.

    Raises:
        DamagedError: naming file, line and field, if one cannot be read.
    """
    read = 0
    try:
        with path.open("rb") as file:
            for line in file:
                read += 1
                yield from_json(kind, line)
    except (OSError, ValueError) as error:
        raise DamagedError(f"{path}:{read}: cannot be read ({one_line(error)})") from error


def read_object(path: Path, kind: type[Record]) -> Record | None:
    """What a JSON file holds; None if there is no such file.

    Raises:
        DamagedError: naming file and field, if it cannot be read.
    """
    if not path.is_file():
        return None
    try:
        return from_json(kind, path.read_bytes())
    except (OSError, ValueError) as error:
        raise DamagedError(f"{path}: cannot be read ({one_line(error)})") from error


def from_json(kind: type[Record], text: bytes) -> Record:
    """JSON as what a dataclass or another type says of its fields. Those that it does not know are left out.

    Raises:
        ValueError: naming the first field that is missing, or of another type.
    """
    from pydantic import ValidationError

    try:
        reader: TypeAdapter[Record] = _reader(cast(Any, kind))
        return reader.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))) from error


@cache
def _reader(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def write_json(path: Path, values: Any) -> None:
    """Write a JSON file as a whole or not at all."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
