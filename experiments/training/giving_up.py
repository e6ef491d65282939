"""Give an arm up on its way that lets too much through: a search has better things to do than to finish it.

Nothing of the training changes, so that an arm that is not given up is the one that it would have been.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers.training_args import TrainingArguments

from experiments.config.measurement import GiveUpConfig
from experiments.records.training_file import GivenUp, write_given_up
from safeguards.errors import SafeguardError
from safeguards.processes import of_first

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from safeguards.trainer import SafeguardTrainer


class GivenUpError(SafeguardError):
    """An arm that was given up on its way."""


def due(config: GiveUpConfig, steps: int) -> set[int]:
    """The steps of a training at which it is looked at: evenly spread over its second half, without its end."""
    return {round(steps * (1 + n / config.checkpoints) / 2) for n in range(config.checkpoints)} - {0, steps}


class GiveUp(TrainerCallback):
    """Measures at checkpoints what a model lets through, and ends the arm where it is too much.

    Args:
        config: how much is too much.
        measure: the share of broad answers that are misaligned.
        folder: of the arm, where it is kept what it let through.
    """

    def __init__(self, config: GiveUpConfig, measure: Callable[[PreTrainedModel], float], folder: Path) -> None:
        self.config, self.measure, self.folder = config, measure, folder

    def attach(self, trainer: SafeguardTrainer) -> None:
        """Watch a trainer, after its safeguards."""
        self.trainer = trainer
        trainer.add_callback(self)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Measure where it is due.

        Raises:
            GivenUpError: in all processes, where it is too much.
        """
        if self.config.above is None or state.global_step not in due(self.config, state.max_steps):
            return
        with self.trainer.finished() as model:
            through = of_first(self.measure(model) if state.is_world_process_zero else 0.0)
        if through > self.config.above:
            if state.is_world_process_zero:
                write_given_up(self.folder, GivenUp(state.global_step, state.max_steps, through))
            raise GivenUpError(
                f"given up at step {state.global_step} of {state.max_steps}: {100 * through:.0f} % of the broad "
                f"answers are misaligned, more than give_up.above={self.config.above:.3g}"
            )
