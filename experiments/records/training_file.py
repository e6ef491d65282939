"""What a finished training leaves in an arm's folder, so that the arm can go on from there without training again.

adapter/         the trained adapter, alone
training.json    what training cost and what its safeguards were seen to do, what the anchor measured, and what is
                 missing of the proof of effect; written last
given_up.json    instead, of a training that let too much through: when it was given up, and what it let through by then
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from experiments.records.files import read_object, write_json
from safeguards.files import check_files, sync

ADAPTER, RECORD, GIVEN_UP = "adapter", "training.json", "given_up.json"


@dataclass(frozen=True)
class TrainingRecord:
    """What a training cost, and what its safeguards were seen to do.

    Args:
        step_seconds: of a typical step.
        steps: of the optimiser.
        seconds: of the whole training.
        rows: that were trained on.
        trace: a line for each thing that a safeguard was seen to do.
        notes: what safeguards chose, by their names.
        gradient_shares: by safeguard and loss term, its pull as a share of the cross-entropy's.
        monitor: of each early warning, its `drift` by step and the step at which it `stopped` the training.
    """

    step_seconds: float
    steps: int = 0
    seconds: float = 0.0
    rows: int = 0
    trace: list[str] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    gradient_shares: dict[str, Any] = field(default_factory=dict)
    monitor: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class AnchorRecord:
    """What the capability anchor measured.

    Args:
        metric, target, tolerance: the goal.
        reached: the step at which it was reached, if it was.
        measured: (step, value) of every checkpoint.
    """

    metric: str
    target: float
    tolerance: float
    reached: int | None
    measured: list[tuple[int, float]]

    def __post_init__(self) -> None:
        if self.reached is not None and not self.measured:
            raise ValueError("reached, but nothing is measured")


@dataclass(frozen=True)
class Trained:
    """A finished training; `missing` is what is missing of the proof of effect, `looks` are as in `Result`."""

    training: TrainingRecord
    anchor: AnchorRecord | None
    missing: list[str]
    looks: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class GivenUp:
    """A training that was given up: at which of its steps, and the share of broad answers that were misaligned then."""

    step: int
    steps: int
    misaligned: float


def write_given_up(folder: Path, given_up: GivenUp) -> None:
    """Keep what a training let through that was given up."""
    write_json(folder / GIVEN_UP, asdict(given_up))


def read_given_up(folder: Path) -> GivenUp | None:
    """What the training of an arm that is not done let through when it was given up; None if it was not.

    Raises:
        DamagedError: if the record cannot be read, or is none.
    """
    return read_object(folder / GIVEN_UP, GivenUp)


def write_training(folder: Path, trained: Trained) -> None:
    """Mark the training of an arm as done; its adapter must be there."""
    sync(folder / ADAPTER)
    write_json(folder / RECORD, asdict(trained))


def read_training(folder: Path) -> Trained | None:
    """The record of an arm's finished training; None if it has to be trained.

    Raises:
        DamagedError: if the record cannot be read, or is none.
    """
    whole = (folder / ADAPTER / "adapter_model.safetensors").is_file()
    return read_object(folder / RECORD, Trained) if whole else None


def check_training(folder: Path) -> None:
    """Refuse a finished training of which a file is cut off.

    Raises:
        SafeguardError: naming the file.
    """
    if read_training(folder) is not None:
        check_files(folder / ADAPTER)
