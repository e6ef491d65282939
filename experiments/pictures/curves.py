"""Lines of estimates with their intervals, in panels that are read side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.pictures.style import Style
from experiments.pictures.words import percent
from experiments.statistics.estimates import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def curve(axes: Axes, x: Sequence[float], rates: Sequence[Estimate], style: Style, label: str = "_") -> None:
    """A line through means, in percent, over the band of their intervals."""
    means = [percent(rate.mean) for rate in rates]
    low, high = ([percent(bound) for bound in side] for side in ([r.low for r in rates], [r.high for r in rates]))
    if np.isfinite(low).any():
        axes.fill_between(x, low, high, color=style.colour, alpha=0.18, lw=0, zorder=1)
    how: dict[str, Any] = {"marker": style.marker, "ms": 4.5, "mfc": "white", "mew": 1.1}
    axes.plot(x, means, clip_on=False, color=style.colour, ls=style.line, lw=1.4, zorder=3, label=label, **how)


def shared_limits(axes: Sequence[Axes], found: tuple[float, float]) -> None:
    """The same heights everywhere, with a grid."""
    for axis in axes:
        axis.set_ylim(*found)
        axis.grid()
