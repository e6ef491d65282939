"""What is sent to a tracker, the same to each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from experiments.pictures.picture import Picture
from experiments.records.files import is_number

if TYPE_CHECKING:
    import pandas as pd

# Kinds of runs.
ARM, COMPARISON = "arm", "comparison"
# What the names of curves begin with, as those of `transformers` do, and what wandb draws them over.
TRAIN, STEP = "train/", "train/global_step"


@dataclass(frozen=True)
class Run:
    """A run as trackers know it.

    Args:
        id: always the same for the same arm, or for the comparison of the same sweep.
        name: for people.
        kind: `ARM` or `COMPARISON`.
        sweep: the folder of the sweep.
        place: the name of the arm's folder, or of the comparison.
        settings: what is known of them at the start.
    """

    id: str
    name: str
    kind: str
    sweep: Path
    place: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Chart:
    """A scatter plot: two columns of a table, which is one of the same `Content`."""

    table: str
    x: str
    y: str


@dataclass(frozen=True)
class Content:
    """All that is known of a run; it takes the place of what was sent before.

    Args:
        settings: those in use, nested, without secrets.
        numbers: by name, one per run.
        tables: by name; text in them is data.
        charts: by title.
        pictures: as they were drawn.
        page: one self-contained HTML file.
        adapter: the folder of a trained adapter.
        step: the last one of the training.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    charts: Mapping[str, Chart] = field(default_factory=dict)
    pictures: Sequence[Picture] = ()
    page: Path | None = None
    adapter: Path | None = None
    step: int = 0


def curve_numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    """A line of a training log as points of curves, which are drawn over steps; the epoch is no result."""
    beside = ("step", "epoch")
    return {f"{TRAIN}{name}": float(value) for name, value in logs.items() if is_number(value) and name not in beside}


class Tracker(Protocol):
    """One run in wandb, TensorBoard or MLflow, from its start or from where it was left."""

    def curve(self, step: int, numbers: Mapping[str, float]) -> None:
        """A point of the curves, at a step of the training."""

    def send(self, content: Content) -> None:
        """What is known at the end."""

    def close(self, failed: bool) -> None:
        """The end, for now."""
