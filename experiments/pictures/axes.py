"""Axes that fit what is drawn on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments.pictures.words import number, percent
from experiments.statistics.estimates import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

# Points fill at least this part of an axis; intervals that need more room are cut off, and end in an arrow.
FILLED = 0.4
# The free part beyond the outermost on either side.
FREE = 0.06
# And no axis is shorter, in percent.
NARROWEST = 0.5


def limits(rates: Sequence[Estimate], least: float = 0.0, most: float = 100.0) -> tuple[float, float]:
    """From where to where an axis reaches, in percent.

    Args:
        rates: that are drawn, with their intervals.
        least, most: possible values; an axis goes beyond them only by what markers need.
    """
    means = np.array([mean for rate in rates if np.isfinite(mean := percent(rate.mean))])
    if not len(means):
        return least, most
    ends = [(percent(rate.low), percent(rate.high)) for rate in rates if np.isfinite(percent(rate.mean))]
    bars = [pair for pair in ends if np.isfinite(pair).all()]
    low = float(min([*means, *(low for low, _ in bars)]))
    high = float(max([*means, *(high for _, high in bars)]))
    shortest = min((high - low for low, high in bars if high > low), default=0.0)
    room = max(float(np.ptp(means)) / FILLED, shortest)
    if 0 < room < high - low:
        low = max(low, float(means.min() - (room - np.ptp(means)) / 2))
        high = max(float(means.max()), min(high, low + room))
    spare = max(FREE * (high - low), (NARROWEST - (high - low)) / 2)
    return max(low, least) - spare, min(high, most) + spare


def bars(axes: Axes, x: Estimate | float, y: Estimate | float, colour: str, width: float = 0.7) -> None:
    """The intervals of a point as thin lines, with an arrow where they leave the axes."""
    where = (percent(x.mean) if isinstance(x, Estimate) else x, percent(y.mean) if isinstance(y, Estimate) else y)
    for along, rate in ((0, x), (1, y)):
        if not isinstance(rate, Estimate) or rate.mean is None or rate.low is None or rate.high is None:
            continue
        ends = np.array([percent(rate.low), percent(rate.high)])
        least, most = sorted(axes.get_xlim() if along == 0 else axes.get_ylim())
        line = np.array([where, where], float)
        line[:, along] = np.clip(ends, least, most)
        axes.plot(*line.T, color=colour, lw=width, zorder=2, solid_capstyle="butt")
        for end, marker in zip((0, 1), ("<>", "v^")[along], strict=True):
            if not least <= ends[end] <= most:
                axes.plot(*line[end], marker=marker, color=colour, ms=4, mew=0, clip_on=False, zorder=2)


def plain_numbers(axis: Axis) -> None:
    """Ticks as people write them, also where the axis is logarithmic."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))


def tick(value: float) -> str:
    """A number without what it does not need."""
    return f"{value:.6g}".replace("-", "−") if abs(value) < 1e6 else number(value)
