"""The columns of external validity: of what safeguards prevent in each world, and of how alike worlds rank them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from experiments.report.orders import Order
from experiments.report.table import Column, hundredths, number, percent
from experiments.report.worlds import EXCESS, NATS, PREVENTED, Side
from experiments.statistics.estimates import NOTHING, Estimate
from experiments.statistics.shifts import mean_of

IDLE = "‡"
UNITS = {PREVENTED: "%", EXCESS: "points", NATS: "nats"}
EXPLAINED = {
    PREVENTED: "%: the part of the broad misaligned answers without a safeguard that it prevents, more is better.",
    EXCESS: "Excess: broad misaligned in points beyond no safeguard, stopped where as much of the narrow task is "
    "learnt; less is better.",
    NATS: "Nats: by how much likelier per token than without a safeguard the misaligned of two answers is, on broad "
    "choices; less is better.",
}


@dataclass(frozen=True)
class Row:
    """What each column knows of a safeguard, by the name of the column: the mean over so many of its worlds."""

    safeguard: str
    values: Mapping[str, Estimate]


def make_rows(sides: Sequence[Side]) -> list[Row]:
    """A row for each safeguard that any column knows."""
    names = dict.fromkeys(name for side in sides for name in side.safeguards)
    return [Row(name, {side.name: over_worlds(side, name) for side in sides}) for name in names]


def over_worlds(side: Side, safeguard: str) -> Estimate:
    """The mean with a 95 % interval for other worlds (Student's t), which no part that is prevented exceeds."""
    known = {
        (str(place), "", ""): world[safeguard] for place, world in enumerate(side.worlds.values()) if safeguard in world
    }
    found = mean_of(known)
    return found if side.what != PREVENTED or found.high is None else found._replace(high=min(1.0, found.high))


def columns_of(sides: Sequence[Side]) -> tuple[Column[Row], ...]:
    """The safeguard, and a column for each side."""
    return (
        Column("safeguard", "safeguard", lambda row: row.safeguard, caption=explanation(sides)),
        *(
            Column(
                side.name,
                f"{'published: ' * side.published}{side.name}, {UNITS[side.what]}",
                partial(value, side),
                partial(text, side),
                f"{side.name}: {side.about}." if side.about else "",
            )
            for side in sides
        ),
    )


def value(side: Side, row: Row) -> Estimate:
    """What a column knows."""
    return row.values.get(side.name, NOTHING)


def text(side: Side, row: Row) -> str:
    """The mean with its interval, over how many worlds if not over all, and whether nothing is learnt."""
    found = value(side, row)
    if found.mean is None:
        return ""
    shown = number(found, 2) if side.what == NATS else hundredths(found.mean) if found.low is None else percent(found)
    part = f" ({found.n} of {len(side.worlds)})" if found.n < len(side.worlds) else ""
    return shown + part + IDLE * (row.safeguard in side.idle)


def explanation(sides: Sequence[Side]) -> str:
    """What the numbers are."""
    said = [EXPLAINED[what] for what in UNITS if any(side.what == what for side in sides)]
    if any(len(side.worlds) > 1 for side in sides):
        said.append("Means over worlds, with 95 % intervals for other worlds.")
    if any(side.idle for side in sides):
        said.append(f"{IDLE} in some world next to nothing of the narrow task is learnt, so that nothing could break.")
    return " ".join(said)


def mean(order: Order) -> str:
    """Over worlds."""
    return number(order.mean, 2).replace("-", "−")


def each_world(order: Order) -> str:
    """World by world."""
    return ", ".join(f"{name} {signed(value)}" for name, value in order.by_world.items())


def in_turn(order: Order) -> str:
    """Without each safeguard, from the lowest on."""
    known = [(value, name) for name, value in order.without.items() if value is not None]
    return ", ".join(f"{name} {signed(value)}" for value, name in sorted(known))


def signed(value: float | None) -> str:
    """A correlation."""
    return "undefined" if value is None else f"{value:.2f}".replace("-", "−")


CORRELATIONS: tuple[Column[Order], ...] = (
    Column(
        "one",
        "rank correlation of",
        lambda order: order.one,
        caption="Spearman's: 1 where both put what they have in common into the same order, by what it prevents; −1 "
        "where into the opposite one. Means over worlds, with 95 % intervals for other worlds and these very "
        "safeguards, where a side has several worlds.",
    ),
    Column("other", "with", lambda order: order.other),
    Column("safeguards", "safeguards", lambda order: len(order.safeguards)),
    Column("mean", "mean", lambda order: order.mean, mean),
    Column("by_world", "world by world", each_world),
)
LEFT_OUT: tuple[Column[Order], ...] = (
    Column(
        "one",
        "rank correlation of",
        lambda order: order.one,
        caption="The mean again, each safeguard left out in turn: whose absence moves it most carries it.",
    ),
    *(CORRELATIONS[1], CORRELATIONS[3]),
    Column("without", "without one in turn", in_turn),
)


class Line(NamedTuple):
    """For programs: a correlation of two columns, in one world or without one safeguard."""

    order: Order
    of: str
    value: float | None


def lines(found: Sequence[Order], of: Callable[[Order], Mapping[str, float | None]]) -> list[Line]:
    """One for each world, or each safeguard."""
    return [Line(order, name, value) for order in found for name, value in of(order).items()]


def for_programs(of: str) -> tuple[Column[Line], ...]:
    """Every number, with all digits."""
    return (
        Column("one", "one", lambda line: line.order.one),
        Column("other", "other", lambda line: line.order.other),
        Column("safeguards", "safeguards", lambda line: len(line.order.safeguards)),
        Column("mean", "mean", lambda line: line.order.mean),
        Column(of, of, lambda line: line.of),
        Column("rank_correlation", "rank correlation", lambda line: line.value),
    )
