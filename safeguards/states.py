"""Hidden states of a model at answers that are given, without gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from safeguards.encoding import IGNORED, Collator, encode
from safeguards.rows import Row

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def answer_states(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row], layer: int, batch_size: int = 64
) -> Tensor:
    """(rows, d): the mean hidden state over the answer tokens of every row, at residual index `layer`, in float32."""
    import torch

    means = []
    for states, answered in _states(model, tokenizer, rows, (layer,), batch_size):
        weight = answered.float()
        means.append(torch.einsum("btd,bt->bd", states[layer], weight) / weight.sum(-1, keepdim=True))
    return torch.cat(means)


def token_states(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    layers: Sequence[int],
    batch_size: int = 64,
) -> dict[int, Tensor]:
    """(tokens, d) by residual layer: the hidden state of every answer token of every row, in float32."""
    import torch

    found: dict[int, list[Tensor]] = {layer: [] for layer in layers}
    for states, answered in _states(model, tokenizer, rows, layers, batch_size):
        for layer in layers:
            found[layer].append(states[layer][answered])
    return {layer: torch.cat(parts) for layer, parts in found.items()}


def _states(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    layers: Sequence[int],
    batch_size: int,
) -> Iterator[tuple[dict[int, Tensor], Tensor]]:
    """Of each batch of rows: (B, T, d) hidden states by residual layer, and (B, T) where an answer token stands."""
    import torch

    from safeguards.model import hidden_states
    from safeguards.modes import evaluating

    collate = Collator(tokenizer.pad_token_id or 0)
    encoded = [encode(tokenizer, row, 2**31) for row in rows]
    for start in range(0, len(encoded), batch_size):
        batch = {k: v.to(model.device) for k, v in collate(encoded[start : start + batch_size]).items()}
        with evaluating(model), torch.no_grad():
            states = hidden_states(model, batch, tuple(layers))
        yield {layer: states[layer].float() for layer in layers}, batch["labels"] != IGNORED
