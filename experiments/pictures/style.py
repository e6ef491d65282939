"""How series look: told apart by colour, and without it by marker, line and hatch.

Colours are those of Okabe and Ito (2008), without yellow, which is lost on white. Neighbours differ in marker, line,
hatch and lightness, so that a greyscale print reads as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from experiments.records.names import UNTOUCHED
from experiments.records.outcomes import Outcome
from safeguards.composition import NONE

BLACK, GREY, PALE = "#000000", "#6f6f6f", "#b5b5b5"
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "p", "<", ">", "h", "*")
LINES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))
HATCHES = ("////", "....", "\\\\\\\\", "xxxx", "----", "oo", "++")


class Style(NamedTuple):
    """How one series is drawn."""

    colour: str
    marker: str
    line: str | tuple[int, tuple[float, ...]]
    hatch: str


# Light for what is wanted, dark for what is not.
OUTCOME_STYLES: dict[Outcome, Style] = {
    "aligned": Style("#CFE8F5", "", "-", ""),
    "misaligned": Style("#D55E00", "", "-", ""),
    "incoherent": Style("#F0C96B", "", "-", "////"),
    "refused": Style("#009E73", "", "-", "...."),
    "unscored": Style("#FFFFFF", "", "-", "xxxx"),
}


def style(number: int) -> Style:
    """Of one series of many, counted from 0; those of neighbours differ in everything."""
    return Style(
        COLOURS[number % len(COLOURS)],
        MARKERS[number % len(MARKERS)],
        LINES[number % len(LINES)],
        HATCHES[number % len(HATCHES)],
    )


def styles(names: Sequence[str]) -> dict[str, Style]:
    """By safeguard, each once: `none` is black and the model before training grey, whatever stands beside them."""
    fixed = {NONE: Style(BLACK, "o", "-", ""), UNTOUCHED: Style(GREY, "s", (0, (1, 1)), "")}
    others = [name for name in dict.fromkeys(names) if name not in fixed]
    return fixed | {name: style(number) for number, name in enumerate(others)}
