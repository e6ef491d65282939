"""Words and numbers as they stand in a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from experiments.report.table import percent
from experiments.statistics.estimates import Estimate

# Of several of which the same is to be said, this many are named.
MOST = 4


def listed(names: Iterable[object], apart: str = ", ") -> str:
    """All of them: "a, b and c"; nothing for none."""
    *first, last = [*map(str, names)] or [""]
    if not first:
        return last
    return f"{apart.join(first)}{' ' if apart == ', ' else apart}and {last}"


def first_few(names: Sequence[str], apart: str = ", ") -> str:
    """The first of them, and how many more there are."""
    more = len(names) - MOST
    return listed([*names[:MOST], f"{more} more"] if more > 0 else names, apart)


def many(number: int, what: str) -> str:
    """So many of it: "1 arm", "1,200 arms"."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def plural(what: str, things: Sequence[object]) -> str:
    """One or several."""
    return what + "s" * (len(things) != 1)


def share(rate: Estimate) -> str:
    """A rate with its interval."""
    return _with_unit(percent(rate), "%")


def points(difference: Estimate) -> str:
    """A difference of rates with its interval."""
    return _with_unit(percent(difference).replace("-", "−"), "points")


def _with_unit(text: str, unit: str) -> str:
    """The number, its unit and its interval, which no line break parts."""
    mean, _, interval = text.partition(" ")
    return f"{mean} {unit} {interval}".strip().replace(" ", "\u00a0")
