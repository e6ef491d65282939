"""Draw everything that a report has something for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from experiments.pictures import any_of_k, dose_curves, drift, forest, gaps, goal, outcomes, tradeoff, training
from experiments.pictures.canvas import Drawing, our_look, save
from experiments.pictures.families import families_of, references
from experiments.pictures.picture import ENDINGS, Picture
from experiments.report.labels import group_arms
from experiments.report.report import Report
from experiments.report.write import PICTURES

# All that there may be.
ONE_EACH = (forest, outcomes, any_of_k, dose_curves, training, goal, gaps, drift)
EVERY = (*tradeoff.WHAT.values(), *(each.WHAT for each in ONE_EACH))


def draw_pictures(report: Report) -> list[Picture]:
    """Write all pictures of a report to its folder, in the order in which to look at them.

    Files of an earlier run of what there is nothing to show of any more are removed.

    Raises:
        SafeguardError: if a file cannot be written.
    """
    with our_look():
        drawn = [save(drawing, _path(report, drawing.what)) for drawing in _drawings(report)]
    paths = {picture.path for picture in drawn}
    for path in {_path(report, what) for what in EVERY} - paths:
        for ending in ENDINGS:
            path.with_name(f"{path.name}.{ending}").unlink(missing_ok=True)
    return drawn


def _path(report: Report, what: str) -> Path:
    """Of the files of a picture, without the ending; as the names of tables do, it says what was asked for."""
    return report.path(f"{PICTURES}/{what}", ENDINGS[0]).with_suffix("")


def _drawings(report: Report) -> Iterator[Drawing]:
    rows = report.rows
    groups = list(group_arms(report.arms).values())
    families, nones = families_of(rows, groups), references(groups)
    found = [tradeoff.tradeoff(rows, families, learnt) for learnt in tradeoff.WHAT]
    found += [forest.forest(rows), outcomes.outcomes(rows), any_of_k.any_of_k(rows, groups, nones)]
    found += [dose_curves.dose_curves(rows, families, nones), training.training(report.arms)]
    found += [goal.goal(rows, groups), gaps.gaps(report.arms), drift.drift(rows, groups, nones)]
    yield from (drawing for drawing in found if drawing)
