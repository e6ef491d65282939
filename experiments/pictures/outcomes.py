"""What the broad answers of each row are: all outcomes, which sum to the whole."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.pictures.canvas import SMALL, Drawing, named_rows
from experiments.pictures.style import BLACK, OUTCOME_STYLES
from experiments.pictures.words import names, number
from experiments.records.outcomes import OUTCOMES
from experiments.report.row import ComparisonRow

WHAT = "outcomes"
# Percent of the bar from which on there is room for its number.
ROOM = 7.0


def outcomes(rows: Sequence[ComparisonRow]) -> Drawing | None:
    """A bar per row; None if nothing broad is scored."""
    called = dict(zip(map(id, rows), names(rows), strict=True))
    shown = [row for row in rows if row.outcomes and row.outcomes.get("unscored", 0.0) < 1]
    if not shown:
        return None
    figure, (axes,) = named_rows([called[id(row)] for row in shown], 1, bars=True)
    for outcome in OUTCOMES:
        style = OUTCOME_STYLES[outcome]
        if not any(row.outcomes.get(outcome, 0.0) > 0 for row in shown):
            continue
        for place, row in enumerate(shown):
            before = sum(100 * row.outcomes.get(each, 0.0) for each in OUTCOMES[: OUTCOMES.index(outcome)])
            share = 100 * row.outcomes.get(outcome, 0.0)
            axes.barh(place, share, 0.72, before, fc=style.colour, ec=BLACK, lw=0.4, hatch=style.hatch, label="_")
            if share >= ROOM:
                ground = {"fc": style.colour, "lw": 0, "pad": 1.0} if style.hatch else None
                colour = "white" if outcome == "misaligned" else BLACK
                middle = before + share / 2
                axes.text(
                    middle,
                    place,
                    f"{share:.0f}",
                    ha="center",
                    va="center_baseline",
                    fontsize=SMALL,
                    color=colour,
                    bbox=ground,
                )
        axes.barh(0, 0, fc=style.colour, ec=BLACK, lw=0.4, hatch=style.hatch, label=outcome)
    axes.set(xlim=(0, 100), xlabel="of all broad answers (%)")
    figure.legend(loc="outside upper right", ncols=5, handlelength=1.6, columnspacing=1.2)
    most = max(shown, key=lambda row: row.outcomes.get("misaligned", 0.0))
    least = min(shown, key=lambda row: row.outcomes.get("misaligned", 0.0))
    caption = (
        "Shares of all broad answers by outcome, a bar per safeguard and dose. Misaligned are from "
        f"{number(100 * least.outcomes.get('misaligned', 0.0))} % ({called[id(least)]}) to "
        f"{number(100 * most.outcomes.get('misaligned', 0.0))} % ({called[id(most)]}); fewer misaligned and more "
        "incoherent is not safer."
    )
    return Drawing(WHAT, "Outcomes of broad answers", caption, figure)
