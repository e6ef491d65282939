"""What happens between the steps of a training, before any other callback does something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from safeguards.case import Case
from safeguards.errors import NoEffectError
from safeguards.handover import Handover


class Milestones(TrainerCallback):
    """Takes up a checkpoint, lets safeguards look after each step, stops a training whose safeguards are dead, and
    finishes the weights, so that all other callbacks at the end see the model that is handed over.

    Args:
        case: of the safeguards.
        handover: of the model.
        proof: what to do about a safeguard without effect, as in `SafeguardConfig`.
    """

    def __init__(self, case: Case, handover: Handover, proof: str) -> None:
        self.case, self.handover, self.proof = case, handover, proof
        self.checkpoint: Path | None = None  # from which the training that begins next goes on

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Go on from a checkpoint.

        Raises:
            SafeguardError: if what that takes is missing from it.
        """
        self.handover.begin(self.checkpoint)
        if self.checkpoint and state.is_world_process_zero:
            self.case.go_on(self.checkpoint)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Let safeguards look, then judge what can be judged.

        Raises:
            NoEffectError: if a safeguard is dead and `proof="error"`.
        """
        for safeguard in self.case.safeguards:
            safeguard.after_step(self.handover.model(), state.global_step, state.max_steps)
        if self.proof == "error" and self.case.judge(state.global_step, state.max_steps):
            raise NoEffectError(f'{"; ".join(self.case.missing)} (proof="warn" accepts it)')

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Finish the weights for good."""
        best = state.best_model_checkpoint if args.load_best_model_at_end else None
        self.handover.end(Path(best) if best else None)
