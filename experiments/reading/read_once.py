"""Read a user's file once per process: however many arms name it, all see the same contents."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")
# A file changed so lately may change again without its date showing it; in seconds.
SETTLED = 2.0
KEPT = 16


def read_once(read: Callable[[str], Found]) -> Callable[[str], Found]:
    """Have a reader keep what it made of a file until the file changes. What it returns must not be changed."""
    known: dict[str, tuple[tuple[int, int, int], Found]] = {}

    @wraps(read)
    def reading(path: str) -> Found:
        try:
            status = Path(path).stat()
        except OSError:
            return read(path)  # which says what is wrong
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
        if path in known and known[path][0] == stamp:
            return known[path][1]
        found = read(path)
        if time.time() - status.st_mtime > SETTLED:
            while len(known) >= KEPT:
                del known[next(iter(known))]
            known[path] = stamp, found
        return found

    return reading
