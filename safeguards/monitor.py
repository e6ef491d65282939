"""An early warning: does training move the model towards an unwanted persona?

Projects the activations of training forward passes on a direction, at the last token before each answer, where the
persona of the answer is about to be decided (the projection there foretells the answer: Chen et al. 2025, arXiv
2507.21509, section 3.3). It watches, and can stop the run; it changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from accelerate.utils import reduce
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers.training_args import TrainingArguments

from safeguards.encoding import IGNORED
from safeguards.errors import SafeguardError
from safeguards.model import blocks, check_layers, unwrap

# What the log calls it.
DRIFT = "monitor/drift"


class Monitor(TrainerCallback):
    """Follows the drift of training activations along a direction: `Trainer(callbacks=[Monitor(layer, vector)])`.

    The drift of every step is in `history` and in the trainer's `log_history`. `SafeguardTrainer` also logs it beside
    the loss, so that whatever `report_to` names shows it.

    Args:
        layer: residual index, as in `safeguards.model.Capture`.
        vector: (d,), such as `Persona.vector`.
        limit: stop the training when the drift has been above it for `patience` steps; None: only watch.
        patience: in optimiser steps.

    Attributes:
        history: (step, drift) of every optimiser step. Drift is the mean projection less that of the first step, in
            lengths of the vector, so 1 is one whole shift of persona.
        stopped: the step at which it stopped the run, if it did.
    """

    def __init__(self, layer: int, vector: Tensor, limit: float | None = None, patience: int = 3) -> None:
        if patience < 1:
            raise SafeguardError(f"monitor: patience must be at least 1, got {patience}")
        self.layer, self.vector, self.limit, self.patience = layer, vector, limit, patience
        self.history: list[tuple[int, float]] = []
        self.stopped: int | None = None
        self._start: float | None = None
        self._labels: Tensor | None = None
        self._seen: list[Tensor] = []
        self._handles: list[Any] = []

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: nn.Module, **_: Any
    ) -> None:
        """Attach to the model.

        Raises:
            SafeguardError: if it has no such layer.
        """
        check_layers(model, [self.layer], editable=True)
        inner = unwrap(model)
        block = blocks(inner)[self.layer]
        self._handles = [
            inner.register_forward_pre_hook(self._keep_labels, with_kwargs=True),
            block.register_forward_pre_hook(self._project, with_kwargs=True),
        ]

    def _keep_labels(self, module: nn.Module, arguments: Sequence[Any], keywords: dict[str, Any]) -> None:
        self._labels = keywords.get("labels") if module.training else None

    def _project(self, module: nn.Module, arguments: Sequence[Any], keywords: dict[str, Any]) -> None:
        labels, self._labels = self._labels, None  # once per pass: recomputed layers come without labels
        if labels is None:
            return
        hidden = (arguments[0] if arguments else keywords["hidden_states"]).detach()
        before = ((labels != IGNORED).float().argmax(-1) - 1).clamp(min=0)
        state = hidden[torch.arange(len(hidden), device=hidden.device), before].float()
        vector = self.vector.to(state)
        self._seen.append((state @ vector / vector.square().sum()).mean())

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Note the drift of this step, and stop if it has been too large for too long."""
        if not self._seen:
            return
        # Of all processes, so that all stop or none.
        position = float(reduce(torch.stack(self._seen).mean(), "mean"))
        self._seen = []
        self._start = position if self._start is None else self._start
        self.history.append((state.global_step, position - self._start))
        state.log_history.append({"step": state.global_step, DRIFT: position - self._start})
        recent = [drift for _, drift in self.history[-self.patience :]]
        if self.limit is not None and len(recent) == self.patience and min(recent) > self.limit:
            self.stopped = self.stopped or state.global_step
            control.should_training_stop = True

    def state(self) -> dict[str, Any]:
        """What an interrupted training needs to be watched on, for JSON."""
        return {"history": self.history, "stopped": self.stopped, "start": self._start}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        self.history = [(step, drift) for step, drift in state["history"]]
        self.stopped, self._start = state["stopped"], state["start"]

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Detach."""
        for handle in self._handles:
            handle.remove()
