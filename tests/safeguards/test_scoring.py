"""Many rows at once score as one row at a time."""

from __future__ import annotations

import numpy as np
import torch

from safeguards.rows import encode
from safeguards.scoring import answer_nll


def test_batches_agree_with_the_models_own_loss_row_by_row(model, tokenizer, rows, pool):
    model.eval()
    mixed = [*rows, *pool]
    alone = []
    for row in mixed:
        encoded = {name: torch.tensor([values]) for name, values in encode(tokenizer, row, 2048).items()}
        with torch.no_grad():
            alone.append(model(**encoded).loss.item())
    np.testing.assert_allclose(answer_nll(model, tokenizer, mixed, batch_size=16), alone, rtol=1e-4)


def test_the_model_is_left_as_it_was(model, tokenizer, rows):
    model.train()
    answer_nll(model, tokenizer, rows)
    assert model.training


def test_every_row_is_reported_once(model, tokenizer, rows):
    done = []
    answer_nll(model, tokenizer, rows, batch_size=5, advance=done.append)
    assert done == [5, 5, 5, 1]
