"""Where names stand beside their points: none on another, on a point or off the sheet.

A name stands as near to its point as there is room, where it hides as little as may be of the lines that are drawn.
Those that find no room stand below each other in a column beside the axes, in the order of the heights of their points.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np


class Box(NamedTuple):
    """A rectangle; whatever the unit, x grows to the right and y upwards."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: Box) -> bool:
        """Whether any of the area is shared."""
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )

    def within(self, other: Box) -> bool:
        """Whether all of it lies in another."""
        return (
            self.left >= other.left
            and self.bottom >= other.bottom
            and self.right <= other.right
            and self.top <= other.top
        )

    def distance(self, point: tuple[float, float]) -> float:
        """From its nearest place to a point."""
        return math.dist(self.nearest(*point), point)

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """The point of it that is nearest to another."""
        return min(max(x, self.left), self.right), min(max(y, self.bottom), self.top)


# Room around a point that is its marker's, and between names, in points.
MARKER, GAP = 5.0, 1.5
# How far a name may stand from its point, and in which directions it is tried, the better ones first.
DISTANCES = (0.0, 8.0, 18.0, 30.0, 44.0)
DIRECTIONS = (20, -20, 160, -160, 90, -90, 50, -50, 130, -130, 0, 180)
# What a name costs: per point of distance 1, and so much for each place of a line that it hides.
HIDES = 3.0
# And so much if it is nearer to the point of another.
MISLEADS = 25.0


def place(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    inside: Box,
    column: Box,
    lines: Sequence[tuple[float, float]] = (),
) -> list[Box]:
    """Where each name stands; no two overlap, and each lies in `inside` or `column`.

    Args:
        points: that are named.
        sizes: (width, height) of the names.
        inside: where names may stand beside their points.
        column: where they stand otherwise, as wide as the widest; they stand out at its top if it is too low.
        lines: places along what else is drawn, which are better not hidden.
    """
    taken = [Box(x - MARKER / 2, y - MARKER / 2, x + MARKER / 2, y + MARKER / 2) for x, y in points]
    drawn = np.array([*lines, *points], float).reshape(-1, 2)
    found: dict[int, Box] = {}
    for each in sorted(range(len(points)), key=lambda each: _crowd(points, each)):
        free = [
            (cost, box)
            for cost, box in _candidates(points, each, sizes[each], drawn)
            if box.within(inside) and not any(_wider(box).overlaps(other) for other in taken)
        ]
        if free:
            found[each] = min(free)[1]
            taken.append(found[each])
    left = [each for each in range(len(points)) if each not in found]
    left.sort(key=lambda each: -points[each][1])
    found |= dict(
        zip(left, _below_each_other([points[n] for n in left], [sizes[n] for n in left], column), strict=True)
    )
    return [found[each] for each in range(len(points))]


def height_of(sizes: Sequence[tuple[float, float]]) -> float:
    """Of a column that holds all of them."""
    return sum(height + 2 * GAP for _, height in sizes)


def _crowd(points: Sequence[tuple[float, float]], each: int) -> float:
    """How near the nearest neighbour is: who has room at hand takes none from the others, and those choose first."""
    others = [math.dist(points[each], point) for n, point in enumerate(points) if n != each]
    return min(others, default=0.0)


def _candidates(
    points: Sequence[tuple[float, float]], each: int, size: tuple[float, float], drawn: np.ndarray
) -> Iterator[tuple[float, Box]]:
    """Boxes beside a point, and what each costs."""
    (x, y), others = points[each], [*points[:each], *points[each + 1 :]]
    width, height = size
    for distance in DISTANCES:
        for rank, degrees in enumerate(DIRECTIONS):
            across, up = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
            near = MARKER / 2 + 2 * GAP + distance
            # The middle of the box lies in this direction, its nearest edge so far away.
            reach = near + min(
                width / 2 / abs(across) if across else math.inf, height / 2 / abs(up) if up else math.inf
            )
            left, bottom = x + reach * across - width / 2, y + reach * up - height / 2
            box = Box(left, bottom, left + width, bottom + height)
            misleads = any(box.distance(other) < box.distance((x, y)) + 1 for other in others)
            yield distance + rank / 4 + HIDES * _hidden(box, drawn) + MISLEADS * misleads, box


def _hidden(box: Box, drawn: np.ndarray) -> int:
    """How many places of lines lie under a box."""
    if not len(drawn):
        return 0
    x, y = drawn[:, 0], drawn[:, 1]
    under = (x > box.left) & (x < box.right) & (y > box.bottom) & (y < box.top)
    return int(under.sum())


def _wider(box: Box) -> Box:
    return Box(box.left - GAP, box.bottom - GAP, box.right + GAP, box.top + GAP)


def _below_each_other(
    points: Sequence[tuple[float, float]], sizes: Sequence[tuple[float, float]], column: Box
) -> list[Box]:
    """Boxes at the heights of their points if they can be, else moved as little as keeps them apart and in place."""
    heights = [height + 2 * GAP for _, height in sizes]
    tops, above = [], column.top
    for (_, y), height in zip(points, heights, strict=True):
        tops.append(min(above, y + height / 2))
        above = tops[-1] - height
    below = column.bottom
    for each in reversed(range(len(points))):
        tops[each] = max(tops[each], below + heights[each])
        below = tops[each]
    return [
        Box(column.left, top - height + GAP, column.left + width, top - GAP)
        for top, height, (width, _) in zip(tops, heights, sizes, strict=True)
    ]
