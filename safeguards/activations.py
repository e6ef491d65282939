"""Edits of the residual stream: what steering, ablation and projection have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from safeguards.looks import NOTICEABLE
from safeguards.model import blocks, check_layers


class Edit:
    """A change of the residual stream at one layer, made in every forward pass inside `applied`, and counted.

    Args:
        layer: residual index as in `Capture`, below the number of layers: what follows the final norm is not edited.
        change: from (batch, tokens, d) hidden states to those that the rest of the model is to see.

    Attributes:
        firings: forward passes in which the change was made.
        moved: the largest relative change of the hidden states seen; measured until it is noticeable.
    """

    def __init__(self, layer: int, change: Callable[[Tensor], Tensor]) -> None:
        self.layer = layer
        self.change = change
        self.firings = 0
        self.moved = 0.0

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Make the change in every forward pass inside, and in the recomputation of checkpointed layers.

        Raises:
            SafeguardError: if the model has no such layer.
        """
        check_layers(model, [self.layer], editable=True)
        block = blocks(model)[self.layer]
        handle = block.register_forward_pre_hook(self._hook, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()

    def _hook(self, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if arguments:
            return (self._changed(arguments[0]), *arguments[1:]), keywords
        return arguments, {**keywords, "hidden_states": self._changed(keywords["hidden_states"])}

    def _changed(self, hidden: Tensor) -> Tensor:
        changed = self.change(hidden).to(hidden.dtype)
        self.firings += 1
        if self.moved < NOTICEABLE:
            with torch.no_grad():
                self.moved = max(self.moved, float((changed - hidden).norm() / hidden.norm()))
        return changed


def adding(layer: int, vector: Tensor, dose: float) -> Edit:
    """h ← h + dose · v at every position."""
    return Edit(layer, lambda hidden: hidden + dose * vector.to(hidden))


def removing(layer: int, basis: Tensor) -> Edit:
    """h ← h − Q Qᵀ h at every position, Q being the orthonormal columns of `basis` (d, k)."""
    return Edit(layer, lambda hidden: hidden - (hidden @ basis.to(hidden)) @ basis.to(hidden).T)
