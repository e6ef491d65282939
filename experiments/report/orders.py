"""Whether worlds put safeguards into the order that was published, and into one and the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from experiments.report.worlds import EXCESS, PREVENTED, Side
from experiments.statistics.estimates import NOTHING, Estimate
from experiments.statistics.ranks import FEWEST_RANKED, mean_correlation, spearman


@dataclass(frozen=True)
class Order:
    """How alike two columns rank what both have.

    Args:
        one, other: their names.
        safeguards: that some world of each has.
        by_world: the rank correlation of each two worlds, by their names; None where it is not known.
        mean: over worlds, with its interval for others.
        without: the mean without each safeguard in turn; None where too few are left.
    """

    one: str
    other: str
    safeguards: Sequence[str]
    by_world: Mapping[str, float | None]
    mean: Estimate
    without: Mapping[str, float | None]

    @property
    def known(self) -> bool:
        """Whether there is a rank correlation in any world."""
        return self.mean.mean is not None


def orders(sides: Sequence[Side]) -> list[Order]:
    """Of every two columns: what is published with everything, and otherwise excess only with excess."""
    return [
        compare(one, other)
        for one, other in combinations(sides, 2)
        if one.published or (one.what == EXCESS) == (other.what == EXCESS)
    ]


def compare(one: Side, other: Side) -> Order:
    """Two columns."""
    shared = [name for name in one.safeguards if name in other.safeguards]
    found = correlations(one, other, shared)
    names = [named(first, second) for first in one.names for second in other.names]
    by_world = {name: None if np.isnan(value) else float(value) for name, value in zip(names, found.flat, strict=True)}
    without = {left: [name for name in shared if name != left] for left in shared}
    left_out = {name: mean_over_worlds(correlations(one, other, rest), rest).mean for name, rest in without.items()}
    return Order(one.name, other.name, shared, by_world, mean_over_worlds(found, shared), left_out)


def named(first: str, second: str) -> str:
    """Two worlds; what is published is none."""
    return "/".join(filter(None, (first, second))) or "published"


def mean_over_worlds(found: np.ndarray, ranked: Sequence[str]) -> Estimate:
    """The mean; of fewer than so many that are ranked nothing."""
    return mean_correlation(found, len(ranked)) if len(ranked) >= FEWEST_RANKED else NOTHING


def correlations(one: Side, other: Side, among: Sequence[str]) -> np.ndarray:
    """(worlds of one, worlds of the other): positive where both rank these safeguards alike by what they prevent."""
    sides = [[ranked(side, world, among) for world in side.worlds.values()] for side in (one, other)]
    return np.array([[correlation(first, second) for second in sides[1]] for first in sides[0]], float)


def ranked(side: Side, world: Mapping[str, float], among: Sequence[str]) -> dict[str, float]:
    """What is known of these safeguards, so that more is better."""
    return {name: world[name] if side.what == PREVENTED else -world[name] for name in among if name in world}


def correlation(one: Mapping[str, float], other: Mapping[str, float]) -> float | None:
    """Spearman's, of what both have."""
    both = [name for name in one if name in other]
    return (
        spearman([one[name] for name in both], [other[name] for name in both]) if len(both) >= FEWEST_RANKED else None
    )


def missing(found: Sequence[Order]) -> list[str]:
    """What there is too little of for which rank correlations, in one line."""
    said = [
        f"{order.one} and {order.other} ({', '.join(order.safeguards) or 'none in common'})"
        for order in found
        if not order.known
    ]
    needed = f"no rank correlation, which needs {FEWEST_RANKED} safeguards that differ and are in a world of both"
    return [f"{needed}: {'; '.join(said)}"] if said else []
