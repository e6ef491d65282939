"""The trade-off at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.terminal.escaping import plain
from safeguards.files import whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDES = {"benign_accuracy": "benign accuracy (%)", "narrow_learnt": "narrow task learnt (%)"}


def plot_frontier(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Benign accuracy and narrow task learnt, whichever there is, against the misalignment let through: 95 % intervals.

    The dashed line joins what no other row beats in both; what is beaten is hollow, and what is not ranked a cross.
    Points have numbers and a list of names beside them, since many names would hide each other.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    known = [key for key in SIDES if any(row[key]["mean"] is not None for row in rows)]
    sides = {key: SIDES[key] for key in known or SIDES}
    size = (5.5 * len(sides), max(4.5, 0.8 + 0.18 * len(rows)))
    figure, axes = plt.subplots(1, len(sides), figsize=size, sharex=True, squeeze=False)
    for axis, (key, heading) in zip(axes[0], sides.items(), strict=True):
        for number, row in enumerate(rows, start=1):
            _plot_row(axis, row, key, number)
        for model in dict.fromkeys(row["model"] for row in rows):
            best = sorted(_point(row, key) for row in rows if row["model"] == model and row["frontier"][key])
            axis.plot(*zip(*best, strict=True) if best else ((), ()), color="grey", ls="--", lw=0.8, zorder=0)
        axis.set(xlabel="broad misalignment let through (%)", ylabel=heading, ylim=(-5, 105))
        axis.grid(alpha=0.3)
    several = len({row["model"] for row in rows}) > 1
    names = [f"{n}  {row['safeguard']}{' · ' + row['model'] if several else ''}" for n, row in enumerate(rows, start=1)]
    names += ["", "filled: unbeaten in both", "hollow: beaten", "cross: not ranked"]
    figure.tight_layout()
    figure.text(1.0, 0.97, "\n".join(map(plain, names)), va="top", fontsize=8, parse_math=False)
    with whole(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=150, bbox_inches="tight")
    plt.close(figure)


def _plot_row(axis: Axes, row: dict[str, Any], key: str, number: int) -> None:
    across, up = row["broad_misaligned"], row[key]
    if across["mean"] is None or up["mean"] is None:
        return
    best = row["frontier"][key]
    colour = f"C{number % 10}"
    bars: dict[str, Any] = {"xerr": _bars(across), "yerr": _bars(up), "capsize": 2, "elinewidth": 0.8}
    style: dict[str, Any] = {"fmt": "x" if best is None else "o", "color": colour, "mfc": colour if best else "white"}
    x, y = _point(row, key)
    axis.errorbar(x, y, **bars, **style, alpha=1.0 if best else 0.6)
    axis.annotate(str(number), (x, y), textcoords="offset points", xytext=(5, 4), fontsize=8)


def _point(row: dict[str, Any], key: str) -> tuple[float, float]:
    return 100 * row["broad_misaligned"]["mean"], 100 * row[key]["mean"]


def _bars(cell: dict[str, Any]) -> list[list[float]]:
    return [[100 * (cell["mean"] - cell["low"])], [100 * (cell["high"] - cell["mean"])]]
