"""Differences to the baseline, a line per row: what is prevented and what is kept, against margins named before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from experiments.pictures.axes import bars, limits
from experiments.pictures.canvas import HEAD, SMALL, Drawing, named_rows
from experiments.pictures.style import BLACK, COLOURS, GREY
from experiments.pictures.words import names, number, percent, several
from experiments.records.measures import BENIGN_ACCURACY, INCOHERENT, LEARNT, NARROW_LEARNT, Measure
from experiments.report.row import ComparisonRow
from experiments.statistics.estimates import NOTHING, Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WHAT = "differences"
BLUE = COLOURS[0]


@dataclass(frozen=True)
class Panel:
    """One difference of all rows.

    Args:
        title: what is compared, and with what.
        wanted: in which direction is better, in words.
        of: the difference of a row.
        margin: how much worse counts as kept, as a signed difference; None if nothing was named.
        sure: whether a row is drawn as found, or not; None where it is neither.
    """

    title: str
    wanted: str
    of: Callable[[ComparisonRow], Estimate]
    margin: float | None
    sure: Callable[[ComparisonRow], bool | None]


def forest(rows: Sequence[ComparisonRow]) -> Drawing | None:
    """All differences of which there is one; None if there is none."""
    found = [panel for panel in _panels(rows) if any(panel.of(row).mean is not None for row in rows)]
    shown = [row for row in rows if any(panel.of(row).mean is not None for panel in found)]
    if not shown:
        return None
    called = dict(zip(map(id, rows), names(rows), strict=True))
    figure, axes = named_rows([called[id(row)] for row in shown], len(found))
    for panel, axis in zip(found, axes, strict=True):
        _draw(axis, panel, shown)
    _key(figure, found)
    stars = [called[id(row)] for row in shown if row.survives and found[0].of(row).mean is not None]
    title = f"Differences to {rows[0].baseline}"
    return Drawing(WHAT, title, _caption(found, shown, stars, called), figure)


def _panels(rows: Sequence[ComparisonRow]) -> list[Panel]:
    baseline, first = rows[0].baseline, rows[0].primary
    less = first not in (*LEARNT,) and first.outcome != "aligned"
    found = [
        Panel(
            f"{first.key.replace('_', ' ')} − {baseline}",
            "← better" if less else "better →",
            _tested,
            None,
            lambda row: bool(row.survives),
        )
    ]
    if first != INCOHERENT:
        margin = _margin(rows, INCOHERENT) if any(INCOHERENT in row.kept for row in rows) else None
        found.append(
            Panel(
                f"incoherent − {_reference(rows, INCOHERENT) or baseline}",
                "← better",
                (lambda row: row.incoherent_minus_none) if margin is None else _kept(INCOHERENT),
                margin,
                _verdict(INCOHERENT),
            )
        )
    for measure, title in ((BENIGN_ACCURACY, "benign accuracy"), (NARROW_LEARNT, "narrow learnt")):
        margin = _margin(rows, measure)
        panel = Panel(
            f"{title} − {_reference(rows, measure)}",
            "better →",
            _kept(measure),
            None if margin is None else -margin,
            _verdict(measure),
        )
        found += [panel] * (measure != first or first in LEARNT)
    return found


def _tested(row: ComparisonRow) -> Estimate:
    """Nothing for a row that learnt nothing, as in the table: that it lets less through is no merit."""
    nothing = row.learns[NARROW_LEARNT] is False and row.primary not in LEARNT
    return NOTHING if nothing else row.minus_none


def _kept(measure: Measure) -> Callable[[ComparisonRow], Estimate]:
    return lambda row: row.kept[measure].difference if measure in row.kept else NOTHING


def _verdict(measure: Measure) -> Callable[[ComparisonRow], bool | None]:
    verdicts = {"kept": True, "lost": None, "not shown": False}
    return lambda row: verdicts[row.kept[measure].verdict] if measure in row.kept else False


def _margin(rows: Sequence[ComparisonRow], measure: Measure) -> float | None:
    return next((row.kept[measure].margin for row in rows if measure in row.kept), None)


def _reference(rows: Sequence[ComparisonRow], measure: Measure) -> str:
    return next((row.kept[measure].reference for row in rows if measure in row.kept), "")


def _draw(axes: Axes, panel: Panel, rows: Sequence[ComparisonRow]) -> None:
    """A point with its interval for each row, beside the line of no difference and that of the margin."""
    found = [panel.of(row) for row in rows]
    marks = [Estimate(mark, None, None, 0) for mark in (0.0, panel.margin) if mark is not None]
    low, high = limits([*found, *marks], least=-100)
    axes.set_xlim(low, high)
    axes.axvline(0, color=BLACK, lw=0.9, zorder=1)
    if panel.margin is not None:
        at = percent(panel.margin)
        axes.axvline(at, color=GREY, lw=0.9, ls="--", zorder=1)
        axes.axvspan(*((low, at) if at < 0 else (at, high)), color="#000000", alpha=0.05, lw=0, zorder=0)
    for place, (row, estimate) in enumerate(zip(rows, found, strict=True)):
        if estimate.mean is None:
            continue
        bars(axes, estimate, float(place), BLUE, 1.1)
        sure = panel.sure(row)
        style = {"marker": "x", "mew": 1.5} if sure is None else {"marker": "o", "mfc": BLUE if sure else "white"}
        axes.plot([percent(estimate.mean)], [place], color=BLUE, ms=5.5, ls="", zorder=3, clip_on=False, **style)
        if row.survives and panel.of is _tested:
            beside = ("axes fraction", "data")
            axes.annotate("*", (1, place), (3, -3), beside, "offset points", va="center", fontsize=HEAD + 2)
    axes.set_title(panel.title)
    axes.set_xlabel(f"points\n{panel.wanted}", fontsize=SMALL + 0.5)
    axes.grid(axis="x")


def _key(figure: Figure, panels: Sequence[Panel]) -> None:
    from matplotlib.lines import Line2D

    def mark(label: str, **how: Any) -> Line2D:
        return Line2D([], [], label=label, **{"color": BLUE, "ls": "", "marker": "o", "ms": 5.5, **how})

    margins = any(panel.margin is not None for panel in panels)
    tested = any(panel.of is _tested for panel in panels)
    found = [mark("found (*)" + ", or kept" * margins if tested else "kept"), mark("not shown", mfc="white")]
    found += [mark("lost", marker="x", mew=1.5), mark("margin", color=GREY, ls="--", marker="", lw=0.9)] * margins
    figure.legend(handles=found, loc="outside lower right", ncols=4, fontsize=SMALL, handletextpad=0.4)


def _caption(
    panels: Sequence[Panel], rows: Sequence[ComparisonRow], stars: Sequence[str], called: dict[int, str]
) -> str:
    known = [(panels[0].of(row).mean, row) for row in rows]
    means = [(percent(mean), called[id(row)]) for mean, row in known if mean is not None]
    parts = ["Paired differences in points, with 95 % intervals; the line is no difference."]
    if means and panels[0].of is _tested:
        low, high = min(means), max(means)
        parts.append(
            f"{panels[0].title}: from {number(low[0])} ({low[1]}) to {number(high[0])} ({high[1]})"
            + (
                f"; * and a full marker: found at 5 % over all rows (Holm), {several(stars, 5)}."
                if stars
                else "; none is found at 5 % over all rows (Holm)."
            )
        )
    if any(panel.margin is not None for panel in panels):
        parts.append(
            "Beside it, dashed is the margin that was named before: a full marker is kept (its interval is on the good "
            "side), a hollow one not shown, a cross lost."
        )
    return " ".join(parts)
