"""Rows, arms and figures for tests of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from report.rows import make_row

from experiments.records.arm_files import Result
from experiments.records.measures import BENIGN_ACCURACY, BROAD_MISALIGNED, INCOHERENT, NARROW_LEARNT
from experiments.records.sweep_file import ArmEntry
from experiments.records.training_file import AnchorRecord, TrainingRecord
from experiments.report.arms import Arm
from experiments.report.row import ComparisonRow
from experiments.statistics.estimates import Estimate


def near(mean: float | None, half: float = 0.05) -> Estimate:
    """A rate with an interval about it."""
    return (
        Estimate(None, None, None, 0) if mean is None else Estimate(mean, max(0, mean - half), min(1, mean + half), 9)
    )


def a_row(
    name: str, broad: float | None, narrow: float | None = 0.5, benign: float | None = 0.5, **given: Any
) -> ComparisonRow:
    """With what trade-offs and doses need."""
    rates = {BROAD_MISALIGNED: near(broad), NARROW_LEARNT: near(narrow), BENIGN_ACCURACY: near(benign)}
    return make_row(name, {**rates, INCOHERENT: near(0.1)}, **given)


def an_arm(safeguard: str, seed: int = 0, model: str = "m", task: str = "t", kind: str = "em", **given: Any) -> Arm:
    """Of whose record nothing is known but its settings, and `record` of its training and `anchor` if given."""
    record: TrainingRecord | None = given.pop("record", None)
    anchor: AnchorRecord | None = given.pop("anchor", None)
    settings = {
        "safeguard": safeguard,
        "seed": seed,
        "model": {"name": model},
        "task": {"name": task},
        "safeguards": {},
    }
    entry = ArmEntry(f"{safeguard}.{task}.{seed}", {**settings, **given})
    return Arm(entry, Result(kind, record, anchor), None)  # type: ignore[arg-type]  # no answers are read


def texts(artist: Any) -> Iterator[str]:
    """All that a figure says."""
    from matplotlib.text import Text

    for text in artist.findobj(Text):
        if text.get_text().strip() and text.get_visible():
            yield text.get_text()
