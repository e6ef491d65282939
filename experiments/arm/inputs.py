"""What an arm reads: its task, its safe rows and its questions, from the organism's world or from the user's files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from experiments.config.schema import Config, TrainingConfig
from experiments.organism.world import World
from experiments.probes import Probe, load_probes
from experiments.probes.choice import Choice, load_choices
from experiments.records.names import BENIGN, BROAD, EM_TASK, NARROW
from experiments.tasks import Task, load_task
from experiments.tasks.pool import load_pool
from experiments.terminal.printing import print_once
from safeguards.errors import SafeguardError
from safeguards.rows import Messages, Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Inputs:
    """All that an arm reads but the model.

    Attributes:
        task: what to fine-tune on.
        pool: safe rows to draw from.
        safe_rows: held-out ones.
        probes: what is asked.
        choices: questions with two answers, of which one is to be found likelier.
    """

    task: Task
    pool: list[Row]
    safe_rows: list[Row]
    probes: list[Probe]
    choices: list[Choice] = field(default_factory=list)


def load_inputs(config: Config, world: World) -> Inputs:
    """Read and check everything. No model is needed for it.

    Raises:
        SafeguardError: naming file and line, or the key, of what cannot be used.
    """
    task = load_task(config.task, config.seed, world)
    pool, safe_rows = load_pool(config.pool, task.group, world)
    choices = load_choices(config.probes.choices, config.task, world)
    probes = load_probes(config.probes, task, world, choices)
    asked = [*(probe.messages for probe in probes), *(choice.twins.messages for choice in choices)]
    task = replace(task, rows=without_probed_questions(task.rows, asked, f"task {task.name}"))
    return Inputs(task, without_probed_questions(pool, asked, "the pool"), safe_rows, probes, choices)


def asked_on_the_way(inputs: Inputs) -> list[Probe]:
    """What an arm of `none` is asked at each look: what its stopping curve is of."""
    sets = (*BROAD, NARROW) if inputs.task.kind == EM_TASK else (BENIGN,)
    return [probe for probe in inputs.probes if probe.set in sets]


def without_probed_questions(rows: Sequence[Row], probed: Sequence[Messages], name: str) -> list[Row]:
    """The rows whose question no probe asks: a question file may be made of the very data that are trained on.

    Raises:
        SafeguardError: if none is left.
    """
    asked = {Row(messages).question_key for messages in probed}
    left = [row for row in rows if row.question_key not in asked]
    if rows and not left:
        raise SafeguardError(f"{name}: a probe asks each of its {len(rows)} questions; none is left to train on")
    if len(left) < len(rows):
        print_once(f"{name}: {len(rows) - len(left)} of {len(rows)} rows ask what a probe asks: kept from training")
    return left


def measurable(inputs: Inputs, tokenizer: PreTrainedTokenizerBase, training: TrainingConfig) -> Inputs:
    """The inputs less the held-out rows without an answer token within `max_length`, which cannot be measured.

    The trainer does the same with what is trained on.

    Raises:
        SafeguardError: if they are more than `training.max_set_aside` of the task's or of the pool's.
    """
    from safeguards.reader import learnable, summary

    def usable(rows: Sequence[Row], name: str) -> list[Row]:
        left, places = learnable(rows, name, tokenizer, training.max_length, training.max_set_aside)
        if places:
            print_once(summary(name, len(rows), places, training.max_length))
        return left

    held_out = usable(inputs.task.held_out, f"held-out rows of task {inputs.task.name}")
    safe = usable(inputs.safe_rows, "held-out safe rows")
    return replace(inputs, task=replace(inputs.task, held_out=held_out), safe_rows=safe)
