"""The aligned model that training started from, found in the model in training."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import TypeAlias

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import AuxiliaryTrainingWrapper
from torch import Tensor, nn
from transformers import PreTrainedModel

from safeguards.model import token_logits, unwrap
from safeguards.modes import evaluating

Adapter: TypeAlias = BaseTunerLayer | AuxiliaryTrainingWrapper


class Reference:
    """The aligned model: every adapter off and what else is trained as it was; without adapters, a frozen copy.

    Attributes:
        frozen: the copy, if there is one.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.frozen = None if isinstance(model, PeftModel) else copy.deepcopy(unwrap(model)).eval()
        if self.frozen is not None:
            self.frozen.requires_grad_(False)
            return
        self._adapters = adapters(model)
        self._head_adapters = adapters(unwrap(model).get_output_embeddings())
        # What PEFT trains in the base model itself and does not undo: biases.
        within = {id(own) for adapter in self._adapters for own in _trained_by(adapter)}
        self._starts = [(p, p.detach().clone()) for p in model.parameters() if p.requires_grad and id(p) not in within]

    @contextmanager
    def as_model(self) -> Iterator[PreTrainedModel]:
        """The reference in evaluation mode, without gradient."""
        if self.frozen is not None:
            with torch.no_grad():
                yield self.frozen
            return
        with evaluating(self.model), self._as_it_was(self._adapters):
            yield unwrap(self.model)

    def head(self, hidden: Tensor) -> Tensor:
        """(n, V): the logits of (n, d) last hidden states, as the reference gives them.

        Cheap enough for every chunk of a large vocabulary: only the head's own adapters are switched.
        """
        if self.frozen is not None:
            with torch.no_grad():
                return token_logits(self.frozen, hidden)
        with self._as_it_was(self._head_adapters):
            return token_logits(unwrap(self.model), hidden)

    @contextmanager
    def _as_it_was(self, switched: Iterable[Adapter]) -> Iterator[None]:
        """Without gradient, these adapters off, and weights of the base model as they were before training."""
        now = [parameter.data for parameter, _ in self._starts]
        try:
            for adapter in switched:
                adapter.enable_adapters(False)
            for parameter, start in self._starts:
                parameter.requires_grad_(False)  # else autocast may know it in low precision, as it is now
                parameter.data = start
            with torch.no_grad():
                yield
        finally:
            for (parameter, _), value in zip(self._starts, now, strict=True):
                parameter.data = value
                parameter.requires_grad_(True)
            for adapter in switched:
                adapter.enable_adapters(True)


def adapters(module: nn.Module) -> list[Adapter]:
    """What of PEFT is inside a module, itself included."""
    return [found for found in module.modules() if isinstance(found, (BaseTunerLayer, AuxiliaryTrainingWrapper))]


def _trained_by(adapter: Adapter) -> Iterator[nn.Parameter]:
    for name in adapter.adapter_layer_names:
        yield from attrgetter(name)(adapter).parameters()
