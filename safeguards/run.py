"""What a safeguard is handed before training, and what it hands to the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safeguards.rows import genres

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from safeguards.rows import Row


class Term(NamedTuple):
    """One term of the loss: a scalar that carries gradient, and the weight it is added with.

    The value is what this micro-batch adds to that of the whole optimiser step: `Step.mean` makes it of values per
    answer token, `Step.once` of one that belongs to no token, such as a penalty on the weights.
    """

    value: torch.Tensor
    weight: float


@dataclass
class Run:
    """What a safeguard may look at before training starts.

    Args:
        model: the model about to be fine-tuned, before an adapter is attached: the aligned reference.
        tokenizer: its tokenizer, with a chat template.
        rows: the fine-tuning rows.
        pool: safe rows to draw from; empty when the user gave none.
        seed: the seed of the fine-tune, for every draw a safeguard makes.
        max_length: rows are cut to so many tokens.
        batch_size: rows per batch that are known to fit into memory.
        cache: folder for what is expensive to prepare; None to keep nothing.
        adapter: whether an adapter is trained (LoRA) and not the weights themselves.
        progress: whether to show progress bars.
        notes: what a safeguard wants to have in the record, under its own name; how many safe rows of each genre it
            chose is under `chosen` and its name (`note_chosen`).
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    rows: Sequence[Row]
    pool: Sequence[Row] = ()
    seed: int = 0
    max_length: int = 2048
    batch_size: int = 16
    cache: Path | None = None
    adapter: bool = True
    progress: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    def note_chosen(self, name: str, rows: Sequence[Row]) -> None:
        """Record how many safe rows of each genre a safeguard chose."""
        self.notes.setdefault("chosen", {})[name] = genres(rows)
