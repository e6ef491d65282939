"""The rows of a user's file, read once per process."""

from __future__ import annotations

from experiments.reading.read_once import read_once
from safeguards.rows import Row, read_rows


def rows_of(path: str) -> list[Row]:
    """The rows of a JSONL file of chat messages, in a list of the caller's own.

    Raises:
        SafeguardError: as `read_rows`.
    """
    return list(_rows(path))


@read_once
def _rows(path: str) -> tuple[Row, ...]:
    return tuple(read_rows(path))
