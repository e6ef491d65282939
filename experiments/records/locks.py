"""Work that several processes may want to do at once, and one shall do: sweeps of one name share their arms.

A lock is held by the system for a living process, so none is left by one that was killed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from safeguards.files import writing

LOCKS = ".locks"


@contextmanager
def locked(folder: Path, work: str, wait: bool = True) -> Iterator[bool]:
    """Keep other processes from the same work in a folder, to the end of the block.

    Args:
        folder: where the work is done.
        work: its name.
        wait: until no other process does it.

    Yields:
        Whether the work is ours. False only if another process does it, and we did not want to wait.

    Raises:
        SafeguardError: if nothing can be locked there.
    """
    path = folder / LOCKS / work
    lock = FileLock(path, timeout=-1 if wait else 0)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(Timeout):
            lock.acquire()
    try:
        yield lock.is_locked
    finally:
        lock.release()
