"""What a model is fine-tuned on."""

from __future__ import annotations

from dataclasses import dataclass, field

from experiments.config import TaskConfig
from experiments.tasks import messages, organism
from safeguards.rows import Row

__all__ = ["Task", "load_task"]


@dataclass(frozen=True)
class Task:
    """A fine-tuning data set.

    Attributes:
        name: as it appears in tables.
        kind: "em" or "benign".
        rows: to train on.
        held_out: rows of the same task that are never trained on.
        group: of the organism's world, if it comes from there.
    """

    name: str
    kind: str
    rows: list[Row]
    held_out: list[Row] = field(repr=False)
    group: str | None = None


def load_task(config: TaskConfig, seed: int) -> Task:
    """The rows of a task. `seed` decides which rows are chosen where there are more than asked for."""
    load = organism.load_rows if config.source == "organism" else messages.load_rows
    rows, held_out = load(config, seed)
    return Task(config.name, config.kind, rows, held_out, config.group)
