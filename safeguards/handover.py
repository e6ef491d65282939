"""What is handed over: the weights in training, with what safeguards do to finished weights.

Training goes on from the weights as they are; whoever looks from outside (a checkpoint, an evaluation, `save_model`,
the hub, callbacks at the end) gets them *finished*: after the weights seam of every safeguard, once. So a checkpoint's
model file holds finished weights, and beside it `safeguards.safetensors` holds what it takes to go on:

    trained weights/<parameter>   the weights in training, if a safeguard acts on finished ones
    <safeguard>/<key>             the state of a safeguard
    metadata: evidence            what was seen of the safeguards so far

With `save_only_model` there is no such file: such a checkpoint is to be used, not to be resumed from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from safeguards.errors import SafeguardError
from safeguards.evidence import Evidence
from safeguards.safeguard import Safeguard

FILE = "safeguards.safetensors"
TRAINED = "trained weights"


class Handover:
    """Finishes the weights of a model in training: for a while, or at the end for good; never twice.

    Args:
        safeguards: those that act.
        model: the model without any distributed wrapper, when asked.
        evidence: what was seen so far, when asked; it learns how much the weights move.
    """

    def __init__(
        self,
        safeguards: Sequence[Safeguard],
        model: Callable[[], PreTrainedModel],
        evidence: Callable[[], Evidence],
    ) -> None:
        self._safeguards, self.model, self._evidence = safeguards, model, evidence
        self._finishes = any(safeguard.acts_at("weights") for safeguard in safeguards)
        # The weights in training while the model holds finished ones.
        self._trained: dict[str, Tensor] | None = None
        self._is_final = False

    @contextmanager
    def finished(self) -> Iterator[PreTrainedModel]:
        """The model as it would be handed over now; undone afterwards."""
        model = self.model()
        if not self._finishes or self._is_final or self._trained is not None:
            yield model
            return
        self._trained = {
            name: weight.detach().to("cpu", copy=True).contiguous() for name, weight in trainable(model).items()
        }
        try:
            self._finish()
            yield model
        finally:
            put(model, self._trained)
            self._trained = None

    def _finish(self) -> None:
        model = self.model()
        weights = list(trainable(model).values())
        for safeguard in self._safeguards:
            with self._evidence().watching(safeguard, "weights", weights):
                safeguard.weights(model)

    def begin(self, checkpoint: Path | None) -> None:
        """Training begins, or goes on from a checkpoint whose model has just been loaded.

        Raises:
            SafeguardError: if what it takes to go on is missing from the checkpoint.
        """
        self._is_final = False
        if checkpoint is not None and not self._go_back(checkpoint) and self._finishes:
            raise SafeguardError(
                f"{checkpoint}: holds finished weights only, and no {FILE} with those in training; resume from a "
                "checkpoint that was saved under the same safeguards and without `save_only_model`"
            )

    def end(self, best: Path | None) -> None:
        """Finish for good. `best` is the checkpoint whose model, finished already, has just been loaded, if one was."""
        is_finished = best is not None and self._finishes
        if best is not None and is_finished and (best / FILE).is_file():
            self._go_back(best)  # so that what is noted of finishing is of this checkpoint, too
            is_finished = False
        if not is_finished:
            self._finish()
        self._is_final = True

    def write(self, folder: Path, evidence: Evidence) -> None:
        """Put beside a checkpoint, while the model is finished, what it takes to go on."""
        tensors = {f"{TRAINED}/{name}": weight for name, weight in (self._trained or {}).items()}
        for safeguard in self._safeguards:
            tensors |= {f"{safeguard.name}/{key}": tensor for key, tensor in safeguard.state().items()}
        save_file(tensors, folder / FILE, metadata={"evidence": evidence.as_json()})

    def _go_back(self, checkpoint: Path) -> bool:
        """Put back the weights in training and the safeguards' state; whether the checkpoint held such weights."""
        tensors, _ = _read(checkpoint)
        for safeguard in self._safeguards:
            safeguard.restore(_below(tensors, safeguard.name))
        trained = _below(tensors, TRAINED)
        put(self.model(), trained)
        return bool(trained)


def evidence_of(checkpoint: Path) -> Evidence:
    """What was seen of the safeguards up to a checkpoint; nothing if it does not say."""
    _, metadata = _read(checkpoint)
    return Evidence.from_json(metadata["evidence"]) if "evidence" in metadata else Evidence()


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights in training, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def put(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy weights into the parameters of these names.

    Raises:
        SafeguardError: if the model has no such parameter.
    """
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name, weight in weights.items():
            if name not in own or own[name].shape != weight.shape:
                raise SafeguardError(
                    f"{name}: the checkpoint is not of this model; resume with the model it was made of"
                )
            own[name].copy_(weight)


def _read(checkpoint: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not (checkpoint / FILE).is_file():
        return {}, {}
    with safe_open(checkpoint / FILE, "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118


def _below(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}/"): tensor for key, tensor in tensors.items() if key.startswith(f"{name}/")}
