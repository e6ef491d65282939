"""Perplexity scoring in batches, against one row at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from experiments.benchmark.meters import Passes, now
from experiments.models.load import LoadedModel
from safeguards.encoding import IGNORED, encode
from safeguards.likelihood import answer_nll
from safeguards.rows import Row

# Rows whose perplexities differ by less are equal up to rounding, and may change places in a ranking (nats per token).
ROUNDING = 1e-4


class Scoring(NamedTuple):
    """Rows per second in batches and one at a time, whether both rank the rows alike, and what batches waste.

    `padding` is its share of all positions that went through the model; `logits_per_answer_token` is 1 where no other
    token is projected to the vocabulary.
    """

    set: str
    rows: int
    rows_per_second: float
    rows_per_second_alone: float
    largest_difference: float
    same_ranking: bool
    padding: float
    logits_per_answer_token: float


def measure_scoring(name: str, loaded: LoadedModel, rows: Sequence[Row], batch_size: int, max_length: int) -> Scoring:
    """Score a set of rows either way."""
    answer_nll(*loaded, rows[:batch_size], batch_size, max_length)  # warm-up
    passes = Passes()
    started = now()
    with passes.counting(loaded.model):
        batched = answer_nll(*loaded, rows, batch_size, max_length)
    seconds = now() - started
    started = now()
    alone = np.array([own_nll(loaded, row, max_length) for row in tqdm(rows, "one at a time", leave=False)])
    seconds_alone = now() - started
    answers = sum(label != IGNORED for row in rows for label in encode(loaded.tokenizer, row, max_length)["labels"][1:])
    return Scoring(
        set=name,
        rows=len(rows),
        rows_per_second=len(rows) / seconds,
        rows_per_second_alone=len(rows) / seconds_alone,
        largest_difference=float(np.abs(batched - alone).max()),
        same_ranking=bool((np.diff(alone[np.argsort(batched)]) > -ROUNDING).all()),
        padding=passes.padding / (passes.forward_only + passes.padding),
        logits_per_answer_token=passes.with_logits / answers,
    )


def own_nll(loaded: LoadedModel, row: Row, max_length: int) -> float:
    """Mean NLL per answer token of one row, in nats, by the model's own loss."""
    model, tokenizer = loaded
    encoded = encode(tokenizer, row, max_length)
    inputs = {name: torch.tensor([values], device=model.device) for name, values in encoded.items()}
    with torch.no_grad():
        return float(model.eval()(**inputs, use_cache=False).loss)
