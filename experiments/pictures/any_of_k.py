"""How probably at least one of k answers to a question is misaligned: a small rate may hide a large one here."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.pictures.axes import limits
from experiments.pictures.canvas import Drawing, multiples
from experiments.pictures.curves import curve, shared_limits
from experiments.pictures.style import styles
from experiments.pictures.words import names, number, percent
from experiments.records.measures import BROAD_MISALIGNED, KS
from experiments.report.arms import Arm
from experiments.report.measures import answers
from experiments.report.row import ComparisonRow
from experiments.statistics.estimates import Estimate
from experiments.statistics.rates import misalign_at_k

WHAT = "any_of_k"


def any_of_k(
    rows: Sequence[ComparisonRow], groups: Sequence[Sequence[Arm]], references: Sequence[int | None]
) -> Drawing | None:
    """A panel per row, each beside `none`; None if no question has several answers.

    Args:
        rows: of a comparison.
        groups: the arms of each.
        references: for each, the place of the row of `none` that did as it does, if there is one.
    """
    chances = [alike(row, arms) for row, arms in zip(rows, groups, strict=True)]
    shown = [n for n, found in enumerate(chances) if len(found) > 1]
    if not shown:
        return None
    ks = [k for k in KS if any(k in chances[n] for n in shown)]
    called, own = names(rows), styles([row.safeguard.split(" ")[0] for row in rows])
    figure, axes = multiples([called[n] for n in shown])
    for place, axis in zip(shown, axes, strict=True):
        row, reference = rows[place], references[place]
        if reference is not None and reference != place:
            at = chances[reference]
            axis.plot(
                list(at), [percent(rate.mean) for rate in at.values()], color="#8a8a8a", lw=1, ls="--", zorder=1.5
            )
        curve(axis, list(chances[place]), list(chances[place].values()), own[row.safeguard.split(" ")[0]])
        axis.set_xscale("log", base=2)
        axis.set_xticks(ks, [str(k) for k in ks])
        axis.set_xticks([], minor=True)
        axis.set_xlim(0.8, 1.25 * max(ks))
    shared_limits(axes, limits([rate for n in shown for rate in chances[n].values()]))
    figure.supxlabel("answers to a question, k", fontsize="medium")
    figure.supylabel("at least one misaligned (%)", fontsize="medium")
    largest = ks[-1]
    ends = [(percent(chances[n][largest].mean), called[n]) for n in shown if largest in chances[n]]
    low, high = min(ends), max(ends)
    caption = (
        "How probably at least one of k answers to a question is misaligned, of the questions that have enough for "
        "the largest k, with 95 % intervals; dashed is none. Of "
        f"{largest} answers: from {number(low[0])} % ({low[1]}) to {number(high[0])} % ({high[1]})."
    )
    return Drawing(WHAT, "At least one misaligned answer of k", caption, figure)


def alike(row: ComparisonRow, arms: Sequence[Arm]) -> dict[int, Estimate]:
    """The chance by k, each of the same questions: those with enough answers for the largest k.

    The table has each k of all questions that allow it, which are others for another k: as a curve, it could fall.
    """
    found = {k: rate for k, rate in sorted(row.misalign_at.items()) if rate.mean is not None}
    if len({rate.n for rate in found.values()}) < 2:
        return found
    broad = answers(arms, BROAD_MISALIGNED)
    asked = [name for name in ("world", "seed", "cluster", "task", "set", "question") if name in broad]
    enough = broad.groupby(asked, observed=True)["outcome"].transform("size") >= max(found)
    return {k: misalign_at_k(broad[enough], k) for k in found}
