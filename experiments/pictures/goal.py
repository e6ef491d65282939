"""How fast each row reaches the capability goal, measured at every checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from experiments.pictures.canvas import Drawing, multiples
from experiments.pictures.style import BLACK, GREY, styles
from experiments.pictures.words import names, several
from experiments.records.training_file import AnchorRecord
from experiments.report.arms import Arm
from experiments.report.row import ComparisonRow

WHAT = "goal"
# What the metrics of a goal are called, and in which unit they are drawn.
METRICS = {"task_rate": ("task answered as taught (%)", 100.0), "task_nll": ("NLL of the task (nats per token)", 1.0)}


def goal(rows: Sequence[ComparisonRow], groups: Sequence[Sequence[Arm]]) -> Drawing | None:
    """A panel per row, a line per arm that was to reach the goal; None if none was.

    Args:
        rows: of a comparison.
        groups: the arms of each row.
    """
    metric = next((arm.result.anchor.metric for arms in groups for arm in arms if arm.result.anchor), None)
    found = {n: anchors for n, arms in enumerate(groups) if (anchors := _measured(arms, metric))}
    if metric is None or not found:
        return None
    label, unit = METRICS.get(metric, (metric, 1.0))
    called, own = names(rows), styles([row.safeguard.split(" ")[0] for row in rows])
    figure, axes = multiples([called[n] for n in found])
    for axis, (n, anchors) in zip(axes, found.items(), strict=True):
        style = own[rows[n].safeguard.split(" ")[0]]
        for target, tolerance in {(anchor.target, anchor.tolerance) for anchor in anchors}:
            axis.axhline(unit * target, color=BLACK, lw=0.9, ls="--", zorder=1)
            axis.axhspan(unit * (target - tolerance), unit * (target + tolerance), color=GREY, alpha=0.15, lw=0)
        for anchor in anchors:
            steps, values = np.array(anchor.measured, float).T
            axis.plot(
                steps, unit * values, color=style.colour, marker=style.marker, ms=3, lw=0.9, mfc="white", zorder=2
            )
            if anchor.reached is not None:
                axis.plot(
                    steps[-1], unit * values[-1], color=style.colour, marker="*", ms=9, mec=BLACK, mew=0.5, zorder=3
                )
        axis.grid()
    figure.supxlabel("step of the optimiser", fontsize="medium")
    figure.supylabel(label, fontsize="medium")
    every = [anchor for anchors in found.values() for anchor in anchors]
    reached = sum(anchor.reached is not None for anchor in every)
    whole = [called[n] for n, anchors in found.items() if all(anchor.reached is not None for anchor in anchors)]
    caption = (
        "The capability goal (dashed, with its tolerance) and what was measured at every checkpoint, a line per "
        "fine-tune; a star is the step at which it was reached and training stopped. "
        f"{reached} of {len(every)} fine-tunes reached it; all of {several(whole, 5) if whole else 'no row'}."
    )
    return Drawing(WHAT, "Towards the capability goal", caption, figure)


def _measured(arms: Sequence[Arm], metric: str | None) -> list[AnchorRecord]:
    """The records of arms that were to reach a goal in this metric, and were measured."""
    anchors = [arm.result.anchor for arm in arms if arm.result.anchor and arm.result.anchor.measured]
    return [anchor for anchor in anchors if anchor.metric == metric]
