"""How far training moves the model along the misalignment direction, where the monitor was on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.pictures.canvas import Drawing, multiples
from experiments.pictures.style import BLACK, styles
from experiments.pictures.words import names, number, several
from experiments.report.arms import Arm
from experiments.report.row import ComparisonRow

WHAT = "drift"
# The part of a training over which the running mean goes; one step's batch says little.
WINDOW = 0.1


class Watched(NamedTuple):
    """One early warning of one arm: (steps,) and (steps,) drift; and where it stopped the run, if it did."""

    steps: np.ndarray
    drift: np.ndarray
    stopped: int | None


def drift(
    rows: Sequence[ComparisonRow], groups: Sequence[Sequence[Arm]], references: Sequence[int | None]
) -> Drawing | None:
    """A panel per row: its arms thin, their mean thick, beside that of `none`; None if nothing was watched.

    Of fine-tunes on tasks that induce misalignment, unless only others were watched.

    Args:
        rows: of a comparison.
        groups: the arms of each row.
        references: for each, the place of the row of `none` that did as it does, if there is one.
    """
    harmful = [[arm for arm in arms if not arm.benign] for arms in groups]
    found: dict[int, list[Watched]] = {}
    for sides in (harmful, groups):
        found = found or {n: seen for n, arms in enumerate(sides) if (seen := watched(arms))}
    if not found:
        return None
    called, own = names(rows), styles([row.safeguard.split(" ")[0] for row in rows])
    figure, axes = multiples([called[n] for n in found])
    for axis, (n, seen) in zip(axes, found.items(), strict=True):
        style, reference = own[rows[n].safeguard.split(" ")[0]], references[n]
        axis.axhline(0, color=BLACK, lw=0.6, zorder=1)
        for each in seen:
            axis.plot(each.steps, each.drift, color=style.colour, lw=0.5, alpha=0.55, zorder=2)
        if reference is not None and reference != n and reference in found:
            axis.plot(*smooth(*mean_of(found[reference])), color=BLACK, lw=1, ls="--", zorder=2.5)
        axis.plot(*smooth(*mean_of(seen)), color=style.colour, lw=1.8, zorder=3)
        for each in seen:
            if each.stopped is not None:
                at = float(np.interp(each.stopped, each.steps, each.drift))
                axis.plot(each.stopped, at, marker="X", ms=7, color=style.colour, mec=BLACK, mew=0.6, ls="", zorder=4)
        axis.grid()
    figure.supxlabel("step of the optimiser", fontsize="medium")
    figure.supylabel("drift (1 = one shift of persona)", fontsize="medium")
    ends = sorted(((float(smooth(*mean_of(seen))[1][-1]), called[n]) for n, seen in found.items()), reverse=True)
    stopped = [f"{called[n]} at step {each.stopped}" for n, seen in found.items() for each in seen if each.stopped]
    (most, first), (least, last) = ends[0], ends[-1]
    caption = (
        "Drift of training activations along the misalignment direction by step: thin a fine-tune, thick the running "
        f"mean over fine-tunes and {WINDOW:.0%} of the steps, dashed that of none. At the end it is largest with "
        f"{first} ({number(most)}) and least with {last} ({number(least)})."
    )
    caption += f" A cross is where it stopped a run: {several(stopped)}." * bool(stopped)
    return Drawing(WHAT, "Drift along the misalignment direction", caption, figure)


def watched(arms: Sequence[Arm]) -> list[Watched]:
    """What the monitors of arms saw."""
    found = []
    for arm in arms:
        for seen in arm.result.training.monitor if arm.result.training else ():
            steps, values = np.array(seen.get("drift") or np.empty((0, 2)), float).T
            if np.isfinite(values).any():
                found.append(Watched(steps, values, seen.get("stopped")))
    return found


def mean_of(seen: Sequence[Watched]) -> tuple[np.ndarray, np.ndarray]:
    """Steps that any has, and the mean drift there of those that have it."""
    values: dict[float, list[float]] = defaultdict(list)
    for each in seen:
        for step, value in zip(each.steps.tolist(), each.drift.tolist(), strict=True):
            values[step].append(value)
    return np.array(sorted(values)), np.array([np.mean(values[step]) for step in sorted(values)])


def smooth(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The running mean over `WINDOW`, at either end over what there is of it."""
    half = round(WINDOW * len(values) / 2)
    near = [values[max(0, n - half) : n + half + 1] for n in range(len(values))]
    return steps, np.array([own.mean() for own in near])
