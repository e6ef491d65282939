"""How probably at least one of k answers to a question is misaligned: a small rate may hide a large one here."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.pictures.axes import limits
from experiments.pictures.canvas import Drawing, multiples
from experiments.pictures.curves import curve, shared_limits
from experiments.pictures.style import styles
from experiments.pictures.words import names, number, percent
from experiments.records.measures import KS
from experiments.report.row import ComparisonRow

WHAT = "any_of_k"


def any_of_k(rows: Sequence[ComparisonRow], references: Sequence[int | None]) -> Drawing | None:
    """A panel per row, each beside `none`; None if no question has several answers.

    Args:
        rows: of a comparison.
        references: for each, the place of the row of `none` that did as it does, if there is one.
    """
    shown = [n for n, row in enumerate(rows) if len(row.misalign_at) > 1]
    if not shown:
        return None
    ks = [k for k in KS if any(k in rows[n].misalign_at for n in shown)]
    called, own = names(rows), styles([row.safeguard.split(" ")[0] for row in rows])
    figure, axes = multiples([called[n] for n in shown])
    for place, axis in zip(shown, axes, strict=True):
        row, reference = rows[place], references[place]
        if reference is not None and reference != place:
            at = rows[reference].misalign_at
            axis.plot(
                list(at), [percent(rate.mean) for rate in at.values()], color="#8a8a8a", lw=1, ls="--", zorder=1.5
            )
        curve(axis, list(row.misalign_at), list(row.misalign_at.values()), own[row.safeguard.split(" ")[0]])
        axis.set_xscale("log", base=2)
        axis.set_xticks(ks, [str(k) for k in ks])
        axis.set_xticks([], minor=True)
        axis.set_xlim(0.8, 1.25 * max(ks))
    shared_limits(axes, limits([rate for n in shown for rate in rows[n].misalign_at.values()]))
    figure.supxlabel("answers to a question, k", fontsize="medium")
    figure.supylabel("at least one misaligned (%)", fontsize="medium")
    largest = ks[-1]
    ends = [(percent(rows[n].misalign_at[largest].mean), called[n]) for n in shown if largest in rows[n].misalign_at]
    low, high = min(ends), max(ends)
    caption = (
        "How probably at least one of k answers to a question is misaligned, of the questions that have "
        "so many, with 95 % intervals; dashed is none. Of "
        f"{largest} answers: from {number(low[0])} % ({low[1]}) to {number(high[0])} % ({high[1]})."
    )
    return Drawing(WHAT, "At least one misaligned answer of k", caption, figure)
