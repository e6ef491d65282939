"""The stopping curve: what a fine-tune without a safeguard has learnt, and broken, at some of its steps.

A safeguard that lets less misalignment through because it lets less be learnt is no better than stopping early. So
arms of `none` are asked on the way, each time as the model would be handed over; nothing of the training changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers.training_args import TrainingArguments

from experiments.training.look_steps import steps_on_the_way
from safeguards.handover import trainable
from safeguards.processes import of_first

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from safeguards.trainer import SafeguardTrainer


class Curve(TrainerCallback):
    """Looks at the model at some steps of a training, but not at its end: then the arm itself answers.

    Args:
        count: how often, the end included.
        look: what is done at a step.
    """

    def __init__(self, count: int, look: Callable[[int, PreTrainedModel], None]) -> None:
        self.count, self.look = count, look

    def attach(self, trainer: SafeguardTrainer) -> None:
        """Watch a trainer, after its safeguards."""
        self.trainer = trainer
        trainer.add_callback(self)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Look where it is due; the other processes wait."""
        if state.global_step not in steps_on_the_way(self.count, state.max_steps):
            return
        with self.trainer.finished() as model:
            of_first(self.look(state.global_step, model) if state.is_world_process_zero else None)

    @property
    def looked(self) -> list[int]:
        """The steps of a finished training at which there was a look, by this process or one that was interrupted."""
        state = self.trainer.state
        return [step for step in steps_on_the_way(self.count, state.max_steps) if step < state.global_step]


def weights_digest(model: PreTrainedModel) -> str:
    """A hash of the trained weights: by it, a look is known to be of this very model."""
    found = hashlib.sha256()
    for name, weight in trainable(model).items():
        found.update(name.encode())
        found.update(_bytes(weight))
    return found.hexdigest()


def _bytes(weight: torch.Tensor) -> bytes:
    import torch

    return weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
