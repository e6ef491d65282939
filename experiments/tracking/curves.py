"""Training curves, sent while a training runs, under the names that `transformers` gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers.training_args import TrainingArguments

from experiments.tracking.content import TRAIN, curve_numbers
from experiments.tracking.guarded import Guarded
from safeguards.monitor import DRIFT, Monitor


class Curves(TrainerCallback):
    """Sends every line of the training log, and the drift that monitors see at every step; for the first process.

    Args:
        trackers: to whom.
        monitors: of this training; they are called before this.
    """

    def __init__(self, trackers: Guarded, monitors: Sequence[Monitor] = ()) -> None:
        self.trackers, self.monitors = trackers, monitors

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Send the drift of this step."""
        for monitor in self.monitors:
            if monitor.history and monitor.history[-1][0] == state.global_step:
                self.trackers.curve(state.global_step, {f"{TRAIN}{DRIFT}": monitor.history[-1][1]})

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, Any], **_: Any
    ) -> None:
        """Send a line of the log; the last one, of speeds, is no point of a curve."""
        if "loss" in logs:
            sent = curve_numbers(logs)
            if self.monitors:
                sent.pop(f"{TRAIN}{DRIFT}", None)  # every step has it
            self.trackers.curve(state.global_step, sent)
