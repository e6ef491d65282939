"""Lines and progress bars for the person at the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
