"""Misalignment along training: `none` at every look, from the untouched model to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from experiments.pictures.axes import limits
from experiments.pictures.canvas import Drawing, multiples
from experiments.pictures.curves import curve, shared_limits
from experiments.pictures.style import BLACK, COLOURS, Style
from experiments.pictures.words import number, percent
from experiments.records.measures import BROAD_MISALIGNED, INCOHERENT, NARROW_LEARNT, Measure
from experiments.records.names import UNTOUCHED
from experiments.report.arms import Arm
from experiments.report.baselines import counterparts
from experiments.report.measures import estimate
from experiments.statistics.estimates import Estimate
from safeguards.composition import NONE

WHAT = "training"
STYLES = {
    BROAD_MISALIGNED: ("broad misaligned", Style(COLOURS[4], "o", "-", "")),
    NARROW_LEARNT: ("narrow learnt", Style(BLACK, "s", "--", "")),
    INCOHERENT: ("incoherent", Style(COLOURS[5], "^", "-.", "")),
}


@dataclass(frozen=True)
class Path:
    """The fine-tunes of `none` on one task, all of one length, over their seeds.

    Args:
        name: of the task, with the model where there are several.
        steps: of the looks; 0 is the untouched model, if it was asked, and the last the end.
        rates: of the measures that were asked, one for each step.
    """

    name: str
    steps: Sequence[int]
    rates: dict[Measure, list[Estimate]]


def training(arms: Sequence[Arm]) -> Drawing | None:
    """A panel per task (and model) of which `none` was looked at on its way; None if there is none."""
    paths = paths_of(arms)
    if not paths:
        return None
    figure, axes = multiples([path.name for path in paths], 3, size=(3.0, 2.4) if len(paths) > 1 else (4.4, 2.8))
    for path, axis in zip(paths, axes, strict=True):
        for measure, rates in path.rates.items():
            label, style = STYLES[measure]
            curve(axis, path.steps, rates, style, label)
    shared_limits(axes, limits([rate for path in paths for rates in path.rates.values() for rate in rates]))
    known = {measure: STYLES[measure] for path in paths for measure in path.rates}
    figure.legend(handles=[line for line in axes[0].get_lines()], loc="outside upper left", ncols=len(known))
    figure.supxlabel("step of the optimiser", fontsize="medium")
    figure.supylabel("of answers (%)", fontsize="medium")
    caption = "What no safeguard has learnt and broken at each look of its training, with 95 % intervals. "
    return Drawing(WHAT, "Misalignment along training", caption + "; ".join(map(_said, paths)) + ".", figure)


def paths_of(arms: Sequence[Arm]) -> list[Path]:
    """By model and task; of fine-tunes of several lengths, or looked at unequally often, those of most seeds."""
    groups: dict[tuple[str, str], dict[tuple[int, ...], list[Arm]]] = {}
    for arm in arms:
        if arm.entry.safeguard == NONE and not arm.benign and arm.looks and arm.result.training:
            end = arm.result.training.steps
            at = (*(round(look.part * end) for look in arm.looks), end)
            where = arm.entry.model["name"], arm.entry.task
            groups.setdefault(where, {}).setdefault(at, []).append(arm)
    several = len({model for model, _ in groups}) > 1
    found = []
    for (model, task), alike in groups.items():
        steps, own = max(alike.items(), key=lambda each: len(each[1]))
        before = [arm for arm in counterparts(own, arms) if arm.entry.safeguard == UNTOUCHED and arm.entry.task == task]
        stops = [before] * bool(before)
        stops += [[replace(arm, table=arm.looks[n].table) for arm in own] for n in range(len(steps) - 1)]
        rates = {at: [estimate(stop, at) for stop in (*stops, own)] for at in STYLES}
        asked = {at: all_ for at, all_ in rates.items() if any(rate.mean is not None for rate in all_)}
        name = f"{task} · {model}" if several else task
        found += [Path(name, (0, *steps) if before else steps, asked)] * bool(asked)
    return found


def _said(path: Path) -> str:
    """How far it gets."""
    ends = [
        f"{STYLES[measure][0]} {number(percent(rates[-1].mean))} %"
        for measure, rates in path.rates.items()
        if rates[-1].mean is not None
    ]
    return f"{path.name} ends after {path.steps[-1]} steps at {', '.join(ends)}"
