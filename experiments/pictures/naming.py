"""Names at points: places each, writes it, and makes the sheet as large as all of them need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments.pictures.canvas import TEXT, sheet
from experiments.pictures.placing import Box, height_of, place
from experiments.pictures.style import GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches: the axes, and what is around them.
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 4.9, 4.0, 0.62, 0.8, 0.35, 0.15
POINTS = 72.0  # in an inch
# A name that stands off by more, in points, has a line to its point.
NEAR = 8.0
# How far beside the axes the column of names begins, likewise.
ASIDE = 14.0


def named_sheet() -> tuple[Figure, Axes]:
    """A sheet with axes at whose points names will stand."""
    figure = sheet(LEFT + WIDTH + RIGHT, BOTTOM + HEIGHT + TOP)
    axes = figure.add_axes((0, 0, 1, 1))
    _lay_out(figure, axes, 0.0, HEIGHT * POINTS)
    return figure, axes


def write_names(
    figure: Figure,
    axes: Axes,
    points: Sequence[tuple[float, float]],
    said: Sequence[str],
    drawn: Sequence[tuple[float, float]] = (),
) -> list[Box]:
    """Names beside their points, and where they stand, in points of the sheet, which grows as far as they need.

    Args:
        figure: whose axes are made as large as `WIDTH` and `HEIGHT` say, or higher.
        axes: with their limits.
        points: in the units of the axes.
        said: the name of each.
        drawn: places along lines, which names had better not hide.
    """
    sizes = _sizes(figure, said)
    column = max((width for width, _ in sizes), default=0.0) + ASIDE
    for height in (HEIGHT * POINTS, max(HEIGHT * POINTS, height_of(sizes))):
        _lay_out(figure, axes, 0.0, height)
        inside = Box(LEFT * POINTS + 2, BOTTOM * POINTS + 2, (LEFT + WIDTH) * POINTS - 2, BOTTOM * POINTS + height - 2)
        right = inside.right + ASIDE
        aside = Box(right, inside.bottom - 2, right + column, inside.bottom - 2 + height)
        at = _in_points(axes, points)
        found = place(at, sizes, inside, aside, _in_points(axes, drawn))
        if all(box.top <= aside.top for box in found):
            break
    beyond = max((box.right for box in found if box.left >= right), default=inside.right) - inside.right
    _lay_out(figure, axes, beyond, height)
    for name, box, point in zip(said, found, at, strict=True):
        others = [other for other in at if other is not point]
        _write(figure, name, box, point, others)
    return found


def _sizes(figure: Figure, said: Sequence[str]) -> list[tuple[float, float]]:
    """Width and height of names, in points."""
    found = []
    for name in said:
        text = figure.text(0, 0, name, fontsize=TEXT, linespacing=1.05)
        extent = text.get_window_extent()
        found.append((extent.width * POINTS / figure.dpi, extent.height * POINTS / figure.dpi))
        text.remove()
    return found


def _lay_out(figure: Figure, axes: Axes, beyond: float, height: float) -> None:
    """The axes in a sheet with room for so much beside them; both in points."""
    width, high = LEFT + WIDTH + RIGHT + beyond / POINTS, BOTTOM + height / POINTS + TOP
    figure.set_size_inches(width, high)
    axes.set_position((LEFT / width, BOTTOM / high, WIDTH / width, height / POINTS / high))


def _in_points(axes: Axes, places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    if not len(places):
        return []
    found = axes.transData.transform(np.array(places, float)) * POINTS / axes.figure.dpi
    return [(float(x), float(y)) for x, y in found]


def _write(
    figure: Figure, name: str, box: Box, point: tuple[float, float], others: Sequence[tuple[float, float]]
) -> None:
    """A name in its box; where it stands off, or nearer to another point, with a thin line to its own."""
    from matplotlib.lines import Line2D

    ground = {"fc": ("white", 0.7), "lw": 0, "pad": 0.5}
    width, height = (size * POINTS for size in figure.get_size_inches())
    figure.text(
        box.left / width, box.bottom / height, name, fontsize=TEXT, linespacing=1.05, va="bottom", zorder=5, bbox=ground
    )
    near, away = box.nearest(*point), box.distance(point)
    if away > NEAR or any(box.distance(other) < away + 3 for other in others):
        ends = [point[0] / width, near[0] / width], [point[1] / height, near[1] / height]
        figure.add_artist(Line2D(*ends, color=GREY, lw=0.5, zorder=1))
