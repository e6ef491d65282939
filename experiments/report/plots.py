"""The trade-off at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.records.measures import BENIGN_ACCURACY, BROAD_MISALIGNED, NARROW_LEARNT, Measure
from experiments.report.row import ComparisonRow
from experiments.statistics.estimates import Estimate
from experiments.terminal.escaping import plain
from safeguards.files import whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDES = {BENIGN_ACCURACY: "benign accuracy (%)", NARROW_LEARNT: "narrow task learnt (%)"}
LET_THROUGH = "broad misalignment let through (%)"


def plot_comparison(rows: Sequence[ComparisonRow], path: Path) -> None:
    """First the stopping curve, if there is one: broad misaligned against narrow learnt, with `none` at each look.

    Then the frontier: what is learnt, whichever there is, against the misalignment let through; of the narrow task only
    where there is no curve, which shows it. All with 95 % intervals.
    The fuller a point, the more probably no other row beats it; the dashed line joins those that probably none beats.
    What is not ranked is a cross.
    Points have numbers and a list of names beside them, since many names would hide each other.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    known = [learnt for learnt in SIDES if any(row.rates[learnt].mean is not None for row in rows)] or list(SIDES)
    curved = any(row.stopping and row.stopping.curve for row in rows)
    sides = [learnt for learnt in known if not (curved and learnt == NARROW_LEARNT)]
    size = (5.5 * (curved + len(sides)), max(4.5, 0.8 + 0.18 * len(rows)))
    figure, (axes,) = plt.subplots(1, curved + len(sides), figsize=size, squeeze=False)
    if curved:
        _plot_curve(axes[0], rows)
    for axis, learnt in zip(axes[curved:], sides, strict=True):
        _plot_frontier(axis, rows, learnt)
    several = len({row.model for row in rows}) > 1
    names = [f"{n}  {row.safeguard}{' · ' + row.model if several else ''}" for n, row in enumerate(rows, start=1)]
    names += [
        "",
        *["line: none, stopped early"] * curved,
        "the fuller, the more probably unbeaten",
        "cross: not ranked",
    ]
    figure.tight_layout()
    figure.text(1.0, 0.97, "\n".join(map(plain, names)), va="top", fontsize=8, parse_math=False)
    with whole(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=150, bbox_inches="tight")
    plt.close(figure)


def _plot_curve(axis: Axes, rows: Sequence[ComparisonRow]) -> None:
    """What is above the line of its model is worse than stopping early, what is below it is better."""
    for number, row in enumerate(rows, start=1):
        _plot_row(axis, row, NARROW_LEARNT, BROAD_MISALIGNED, number)
        if row.stopping and row.stopping.curve:
            points = [point.rates for point in row.stopping.curve]
            places = [(_percent(rates[NARROW_LEARNT]), _percent(rates[BROAD_MISALIGNED])) for rates in points]
            axis.plot(*zip(*places, strict=True), color=f"C{number % 10}", lw=1.2, marker=".", zorder=0)
    axis.set(xlabel=SIDES[NARROW_LEARNT], ylabel=LET_THROUGH, xlim=(-5, 105))
    axis.grid(alpha=0.3)


def _plot_frontier(axis: Axes, rows: Sequence[ComparisonRow], learnt: Measure) -> None:
    for number, row in enumerate(rows, start=1):
        _plot_row(axis, row, BROAD_MISALIGNED, learnt, number)
    for model in dict.fromkeys(row.model for row in rows):
        unbeaten = [row for row in rows if row.model == model and (row.frontier[learnt] or 0) > 0.5]
        best = sorted((_percent(row.rates[BROAD_MISALIGNED]), _percent(row.rates[learnt])) for row in unbeaten)
        axis.plot(*zip(*best, strict=True) if best else ((), ()), color="grey", ls="--", lw=0.8, zorder=0)
    axis.set(xlabel=LET_THROUGH, ylabel=SIDES[learnt], ylim=(-5, 105))
    axis.grid(alpha=0.3)


def _plot_row(axis: Axes, row: ComparisonRow, right: Measure, upwards: Measure, number: int) -> None:
    across, up = row.rates[right], row.rates[upwards]
    if across.mean is None or up.mean is None:
        return
    chance = row.frontier[upwards if upwards in SIDES else right]
    colour = f"C{number % 10}"
    bars: dict[str, Any] = {"xerr": _bars(across), "yerr": _bars(up), "capsize": 2, "elinewidth": 0.8}
    style: dict[str, Any] = {"fmt": "x" if chance is None else "o", "color": colour, "mfc": (colour, chance or 0.0)}
    x, y = _percent(across), _percent(up)
    axis.errorbar(x, y, **bars, **style)
    axis.annotate(str(number), (x, y), textcoords="offset points", xytext=(5, 4), fontsize=8)


def _percent(rate: Estimate) -> float:
    return 100 * (rate.mean or 0.0)


def _bars(rate: Estimate) -> list[list[float]]:
    mean, low, high = (100 * (value or 0.0) for value in rate[:3])
    return [[mean - low], [high - mean]]
