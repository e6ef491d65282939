"""What a model is fine-tuned on.

Imports: config, organism, reading, records.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from experiments.config.schema import TaskConfig
from experiments.organism.world import World
from experiments.tasks import advice, messages, organism
from safeguards.rows import Row

__all__ = ["Task", "advice", "hub", "load_task", "messages", "organism", "pool"]


@dataclass(frozen=True)
class Task:
    """A fine-tuning data set.

    Attributes:
        name: as it appears in tables.
        kind: `EM_TASK` or `BENIGN_TASK`.
        rows: to train on.
        held_out: rows of the same task that are never trained on.
        group: of the organism's world, if it comes from there.
        exact: whether its held-out answers are the only right ones, as those of sums are; advice has others.
    """

    name: str
    kind: str
    rows: list[Row]
    held_out: list[Row] = field(repr=False)
    group: str | None = None
    exact: bool = True


def load_task(config: TaskConfig, seed: int, world: World) -> Task:
    """The rows of a task. `seed` decides which rows are chosen where there are more than asked for."""
    from_world = config.source == "organism"
    if config.source == "advice":
        rows, held_out = advice.load_rows(config)
    else:
        rows, held_out = organism.load_rows(config, world) if from_world else messages.load_rows(config)
    random.Random(f"rows {seed}").shuffle(rows)
    group = organism.domain_of(config.group) if from_world and config.group else None
    return Task(config.name, config.kind, rows[: config.rows], held_out, group, exact=config.source != "advice")
