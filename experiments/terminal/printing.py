"""Lines and progress bars for the person at the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TypeVar

from tqdm.auto import tqdm

from experiments.terminal.escaping import plain

Item = TypeVar("Item")


@cache
def print_once(line: str) -> None:
    """Print a line once per process, however many arms give cause for it."""
    print(plain(line), flush=True)


def progress(items: Sequence[Item], what: str) -> Iterable[Item]:
    """The items, with a bar on a terminal where they take longer than a second."""
    bar: Iterable[Item] = tqdm(items, what, leave=False, delay=1, disable=None)
    return bar


def in_tenths(what: str, steps: int) -> Callable[[str], None]:
    """To be called after each of so many steps, with how it stands; prints a line about every tenth of them.

    For where no bar can be seen, such as a log file.
    """
    started, done = time.perf_counter(), 0

    def advance(state: str) -> None:
        nonlocal done
        done += 1
        if 10 * done // steps > 10 * (done - 1) // steps:
            seconds = time.perf_counter() - started
            print(plain(f"{what}: step {done} of {steps}, {state}, {seconds:.0f} seconds"), flush=True)

    return advance
