"""What rows are called in pictures, and how long names and numbers are written."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from experiments.report.row import ComparisonRow
from experiments.statistics.estimates import Estimate
from experiments.terminal.escaping import plain

# Letters on a line, and on all lines of a name.
LINE, LONGEST = 34, 100


def names(rows: Sequence[ComparisonRow]) -> list[str]:
    """Of each row, its safeguard and dose, with the model where there are several."""
    several = len({row.model for row in rows}) > 1
    return [shorter(row.safeguard) + (f" · {row.model}" if several else "") for row in rows]


def shorter(label: str) -> str:
    """The label of a row, of whose settings those of its own safeguard need not say so: `kl weight=0.1`."""
    name, *settings = label.split(" ")
    return " ".join([name, *(each.removeprefix(f"{name}.") for each in settings)])


def lines(name: str, width: int = LINE) -> str:
    """A name on as few lines as it takes, without its middle if it is very long."""
    said = plain(name)
    if len(said) > LONGEST:
        said = f"{said[: LONGEST // 2]}…{said[-LONGEST // 2 :]}"
    return "\n".join(textwrap.wrap(said, width, break_on_hyphens=False)) or "(no name)"


def percent(value: float | None) -> float:
    """A share in percent; NaN where there is none, which is not drawn."""
    return float("nan") if value is None else 100 * value


def said(rate: Estimate) -> str:
    """A rate in words, as captions have it."""
    if rate.mean is None:
        return "not known"
    return f"{number(percent(rate.mean))} %"


def number(value: float) -> str:
    """With as many digits as tell it from its like, and a real minus."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 1 or value == 0 else 2
    return f"{value:.{digits}f}".replace("-", "−")


def several(words: Sequence[str], most: int = 3) -> str:
    """An enumeration, which ends in how many more there are."""
    shown = [plain(word) for word in words[:most]]
    more = len(words) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
