"""What is let through against what is learnt: the nearer to the lower right corner, the better."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.pictures.axes import bars, limits
from experiments.pictures.canvas import SMALL, Drawing
from experiments.pictures.families import Family
from experiments.pictures.naming import named_sheet, write_names
from experiments.pictures.style import BLACK, GREY, LINES, Style, styles
from experiments.pictures.words import lines, names, percent, said, several
from experiments.records.measures import BENIGN_ACCURACY, BROAD_MISALIGNED, NARROW_LEARNT, Measure
from experiments.report.row import ComparisonRow
from experiments.statistics.estimates import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEARNT = {BENIGN_ACCURACY: "benign accuracy", NARROW_LEARNT: "narrow task learnt"}
WHAT = {BENIGN_ACCURACY: "tradeoff_benign", NARROW_LEARNT: "tradeoff_narrow"}


def tradeoff(rows: Sequence[ComparisonRow], families: Sequence[Family], learnt: Measure) -> Drawing | None:
    """Broad misaligned against one of `LEARNT`, with 95 % intervals; None where no row has both.

    A family of doses is a line. Steps join the rows that probably no other beats. The narrow task has the stopping
    curve, too, if there is one.
    """
    both = (learnt, BROAD_MISALIGNED)
    known = [n for n, row in enumerate(rows) if np.isfinite([percent(_mean(row, at)) for at in both]).all()]
    if not known:
        return None
    drawn = [rows[n] for n in known]
    curves = [row for row in drawn if learnt == NARROW_LEARNT and row.stopping and row.stopping.curve]
    figure, axes = named_sheet()
    on_curves = [point.rates for row in curves if row.stopping for point in row.stopping.curve]
    alone = [Estimate(rates[at].mean, None, None, 0) for rates in on_curves for at in (learnt,)]
    beside = [Estimate(rates[BROAD_MISALIGNED].mean, None, None, 0) for rates in on_curves]
    axes.set_xlim(limits([row.rates[learnt] for row in drawn] + alone))
    axes.set_ylim(limits([row.rates[BROAD_MISALIGNED] for row in drawn] + beside))
    own = styles([row.safeguard.split(" ")[0] for row in rows])
    hidden = _curves(axes, curves, learnt) + _families(axes, rows, families, learnt, own)
    hidden += [place for row in drawn for place in _bars_of(axes, row, learnt)]
    steps = _frontier(axes, drawn, learnt)
    for row in drawn:
        _point(axes, row, learnt, own[row.safeguard.split(" ")[0]])
    axes.set_xlabel(f"{LEARNT[learnt]} (%), more is better →")
    axes.set_ylabel("← less is better, broad misaligned (%)")
    axes.grid()
    title = f"Broad misaligned against {LEARNT[learnt]}"
    axes.set_title(title)
    chances = [row.frontier.get(learnt) for row in drawn]
    _key(figure, any(chance is not None for chance in chances), bool(steps), bool(curves), None in chances)
    points = [(percent(_mean(row, learnt)), percent(_mean(row, BROAD_MISALIGNED))) for row in drawn]
    write_names(figure, axes, points, _labels(rows, known, families), hidden)
    return Drawing(WHAT[learnt], title, _caption(drawn, learnt, steps, bool(curves)), figure)


def _labels(rows: Sequence[ComparisonRow], known: Sequence[int], families: Sequence[Family]) -> list[str]:
    """A row of a family is known by its dose; one of them, at the end, says of what."""
    found = dict(zip(range(len(rows)), names(rows), strict=True))
    for family in families:
        members = [each for each in zip(family.doses, family.rows, strict=True) if each[1] in known]
        for dose, number in members[:-1]:
            found[number] = f"{dose:g}"
    return [lines(found[number]) for number in known]


def _mean(row: ComparisonRow, measure: Measure) -> float | None:
    return row.rates[measure].mean


def _curves(axes: Axes, rows: Sequence[ComparisonRow], learnt: Measure) -> list[tuple[float, float]]:
    """`none` at each look, and places along the line."""
    found = []
    for row in rows:
        curve = row.stopping.curve if row.stopping else ()
        at = [(percent(point.rates[learnt].mean), percent(point.rates[BROAD_MISALIGNED].mean)) for point in curve]
        axes.plot(*zip(*at, strict=True), color=BLACK, lw=1.1, marker=".", ms=4, zorder=1.5)
        found += _along(at)
    return found


def _bars_of(axes: Axes, row: ComparisonRow, learnt: Measure) -> list[tuple[float, float]]:
    """Places along the intervals of a row, as far as they are drawn."""
    x, y = row.rates[learnt], row.rates[BROAD_MISALIGNED]
    across = np.clip([percent(x.low), percent(x.high)], *axes.get_xlim())
    up = np.clip([percent(y.low), percent(y.high)], *axes.get_ylim())
    ends = [[(end, percent(y.mean)) for end in across], [(percent(x.mean), end) for end in up]]
    return [place for bar in ends if not np.isnan(bar).any() for place in _along(bar)]


def _families(
    axes: Axes, rows: Sequence[ComparisonRow], families: Sequence[Family], learnt: Measure, own: dict[str, Style]
) -> list[tuple[float, float]]:
    found = []
    for family in families:
        members = [rows[place] for place in family.rows]
        at = [(percent(_mean(row, learnt)), percent(_mean(row, BROAD_MISALIGNED))) for row in members]
        at = [point for point in at if not np.isnan(point).any()]
        if len(at) > 1:
            style = own[family.safeguard]
            axes.plot(*zip(*at, strict=True), color=style.colour, ls=style.line, lw=1.1, zorder=1.8)
            found += _along(at)
    return found


def _along(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Places along the line that joins points."""
    return [tuple(place) for one, other in pairwise(points) for place in np.linspace(one, other, 15).tolist()]


def _frontier(axes: Axes, rows: Sequence[ComparisonRow], learnt: Measure) -> list[ComparisonRow]:
    """Steps through what is probably unbeaten, for each model by itself; these rows."""
    found = []
    for number, model in enumerate(dict.fromkeys(row.model for row in rows)):
        unbeaten = [row for row in rows if row.model == model and (row.frontier.get(learnt) or 0.0) > 0.5]
        at = corners([(percent(_mean(row, learnt)), percent(_mean(row, BROAD_MISALIGNED))) for row in unbeaten])
        if at:
            left, top = axes.get_xlim()[0], axes.get_ylim()[1]
            across, up = [left, *(x for x, _ in at), at[-1][0]], [at[0][1], *(y for _, y in at), top]
            axes.step(across, up, where="pre", color=GREY, ls=LINES[(number + 1) % len(LINES)], lw=0.9, zorder=1.2)
        found += unbeaten
    return found


def corners(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other one beats to the right and below, from the left on: steps through them only rise.

    A row may be unbeaten by its chances, which count incoherence as well, and beaten in these two means.
    """
    beaten = {
        point
        for point in points
        for other in points
        if other != point and other[0] >= point[0] and other[1] <= point[1]
    }
    return sorted({*points} - beaten)


def _point(axes: Axes, row: ComparisonRow, learnt: Measure, style: Style) -> None:
    x, y = row.rates[learnt], row.rates[BROAD_MISALIGNED]
    chance = row.frontier.get(learnt)
    bars(axes, x, y, style.colour)
    at = ([percent(x.mean)], [percent(y.mean)])
    if chance is None:
        axes.plot(*at, marker="x", ms=5.5, mew=1.4, color=style.colour, ls="", zorder=3, clip_on=False)
        return
    axes.plot(*at, marker=style.marker, ms=6, color="white", mec="white", ls="", zorder=3, clip_on=False)
    axes.plot(
        *at,
        marker=style.marker,
        ms=6,
        mfc=(style.colour, chance),
        mec=style.colour,
        mew=1.1,
        ls="",
        zorder=3.1,
        clip_on=False,
    )


def _key(figure: Figure, ranked: bool, steps: bool, curve: bool, unranked: bool) -> None:
    """What marks mean, below the axes."""
    from matplotlib.lines import Line2D

    def mark(label: str, **how: Any) -> Line2D:
        return Line2D([], [], label=label, **{"color": GREY, "ls": "", "ms": 5.5, **how})

    found = []
    if ranked:
        fills = (("unbeaten: 0 %", 0.0), ("50 %", 0.5), ("100 %", 1.0))
        found += [mark(label, marker="o", mfc=(GREY, chance), mec=GREY) for label, chance in fills]
    found += [mark("frontier", ls="--", lw=0.9)] * steps
    found += [mark("not ranked", marker="x", mew=1.4)] * unranked
    found += [mark("none, stopped early", color=BLACK, ls="-", lw=1.1, marker=".")] * curve
    figure.legend(
        handles=found, loc="lower left", ncols=6, fontsize=SMALL, handlelength=1.6, handletextpad=0.4, columnspacing=0.9
    )


def _caption(rows: Sequence[ComparisonRow], learnt: Measure, steps: Sequence[ComparisonRow], curve: bool) -> str:
    called = dict(zip(map(id, rows), names(rows), strict=True))
    least = min(rows, key=lambda row: _mean(row, BROAD_MISALIGNED) or 0.0)
    through, gained = said(least.rates[BROAD_MISALIGNED]), said(least.rates[learnt])
    parts = [
        "Each point is a safeguard and dose, lower and further right is better; bars are 95 % intervals (an arrow: "
        f"beyond the axis). {called[id(least)]} lets least through, {through}, at {gained} {LEARNT[learnt]}."
    ]
    if steps:
        chances = [f"{called[id(row)]} ({100 * (row.frontier[learnt] or 0):.0f} %)" for row in steps]
        parts.append(
            "The fuller a marker, the more probably no other row beats it, in coherence, too. With more than 50 % "
            f"unbeaten: {several(chances, 6)}; steps go through those of them that these means leave unbeaten."
        )
    if curve:
        parts.append("The black line is no safeguard, stopped early: what lies below it is better than stopping.")
    return " ".join(parts)
