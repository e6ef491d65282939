"""What more of a safeguard does: each family of doses along its setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from experiments.pictures.axes import limits, tick
from experiments.pictures.canvas import TEXT, Drawing, sheet
from experiments.pictures.curves import curve
from experiments.pictures.families import Family
from experiments.pictures.style import BLACK, styles
from experiments.pictures.words import lines, number, percent, several
from experiments.records.measures import BENIGN_ACCURACY, BROAD_MISALIGNED, INCOHERENT, NARROW_LEARNT, Measure
from experiments.report.row import ComparisonRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WHAT = "doses"
PANELS = {
    BROAD_MISALIGNED: "broad misaligned",
    NARROW_LEARNT: "narrow learnt",
    INCOHERENT: "incoherent",
    BENIGN_ACCURACY: "benign accuracy",
}
# Fewer doses make no curve; doses that differ by more than this factor have a logarithmic axis.
LEAST, WIDE = 3, 8.0


def dose_curves(
    rows: Sequence[ComparisonRow], families: Sequence[Family], references: Sequence[int | None]
) -> Drawing | None:
    """A line of panels per family, a panel per measure, `none` as the level of dose 0; None if no family is large.

    Args:
        rows: of a comparison.
        families: of its rows.
        references: for each row, the place of the row of `none` that did as it does, if there is one.
    """
    large = [family for family in families if len(family.doses) >= LEAST]
    known = [at for at in PANELS if any(rows[n].rates[at].mean is not None for each in large for n in each.rows)]
    if not large or not known:
        return None
    said = [lines(f"{family.safeguard}{_where(family, large)}", 26) for family in large]
    high = 1.55 + 0.13 * max(name.count("\n") for name in said)
    figure = sheet(1.9 * len(known) + 0.7, high * len(large) + 0.35, layout="constrained")
    grid = figure.subplots(len(large), len(known), squeeze=False, sharey="col")
    own = styles([row.safeguard.split(" ")[0] for row in rows])
    for line, family, name in zip(grid, large, said, strict=True):
        reference = references[family.rows[0]]
        for axes, measure in zip(line, known, strict=True):
            _draw(axes, rows, family, measure, reference)
            curve(axes, family.doses, [rows[n].rates[measure] for n in family.rows], own[family.safeguard])
        line[0].set_ylabel(f"{name}\n(%)", fontsize=TEXT)
    for column, measure in enumerate(known):
        own_rates = [rows[n].rates[measure] for family in large for n in family.rows]
        grid[0][column].set_ylim(*limits(own_rates + [rows[n].rates[measure] for n in _references(large, references)]))
        grid[0][column].set_title(PANELS[measure])
    caption = (
        "Rates with 95 % intervals along the dose; dashed with its band is none, the dose 0. "
        f"{several([_said(rows, family) for family in large], 4)}."
    )
    return Drawing(WHAT, "What more of a safeguard does", caption, figure)


def _where(family: Family, among: Sequence[Family]) -> str:
    return f" · {family.model}" if len({each.model for each in among}) > 1 else ""


def _references(families: Sequence[Family], references: Sequence[int | None]) -> list[int]:
    return [n for family in families if (n := references[family.rows[0]]) is not None]


def _draw(axes: Axes, rows: Sequence[ComparisonRow], family: Family, measure: Measure, reference: int | None) -> None:
    """The axes of a panel, and `none` in it."""
    if reference is not None and (level := rows[reference].rates[measure]).mean is not None:
        axes.axhline(percent(level.mean), color=BLACK, lw=1, ls="--", zorder=1.5)
        if level.low is not None:
            axes.axhspan(percent(level.low), percent(level.high), color=BLACK, alpha=0.08, lw=0, zorder=0.5)
    low, high = family.doses[0], family.doses[-1]
    if low > 0 and high / low > WIDE:
        axes.set_xscale("log")
        axes.set_xlim(low / (high / low) ** 0.08, high * (high / low) ** 0.08)
    else:
        axes.set_xlim(low - 0.08 * (high - low), high + 0.08 * (high - low))
    axes.set_xticks([], minor=True)
    shown = _apart(axes, family.doses)
    axes.set_xticks(shown, [tick(dose) for dose in shown])
    axes.set_xlabel(lines(family.short, 30))
    axes.grid()


def _apart(axes: Axes, doses: Sequence[float]) -> list[float]:
    """The doses whose numbers have room below the axes, the last among them."""
    along = axes.transAxes.inverted().transform(axes.transData.transform([(dose, 0.0) for dose in doses]))[:, 0]
    found: list[int] = []
    for n in reversed(range(len(doses))):
        if not found or along[found[-1]] - along[n] >= 0.17:
            found.append(n)
    return [doses[n] for n in found]


def _said(rows: Sequence[ComparisonRow], family: Family) -> str:
    """What the largest dose does against the smallest."""
    first, last = (rows[n].rates[BROAD_MISALIGNED].mean for n in (family.rows[0], family.rows[-1]))
    doses = f"{family.safeguard} from {tick(family.doses[0])} to {tick(family.doses[-1])}"
    if first is None or last is None:
        return doses
    return f"{doses}: broad misaligned from {number(percent(first))} % to {number(percent(last))} %"
