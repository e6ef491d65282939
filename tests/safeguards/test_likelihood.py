"""Many rows at once score as one row at a time."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel

from safeguards.encoding import encode
from safeguards.likelihood import answer_nll, batches


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


def test_dropout_does_not_score(tokenizer, rows):
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=2, n_head=2, resid_pdrop=0.5))
    expected = answer_nll(model.eval(), tokenizer, rows)
    np.testing.assert_array_equal(answer_nll(model.train(), tokenizer, rows), expected)


def test_every_row_is_reported_once(model, tokenizer, rows):
    done = []
    answer_nll(model, tokenizer, rows, batch_size=5, advance=done.append)
    assert sum(done) == 16
    assert max(done) == 5


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 9))
def test_batches_hold_every_row_once_and_little_padding(lengths, batch_size):
    made = list(batches(lengths, batch_size))
    assert sorted(index for batch in made for index in batch) == list(range(len(lengths)))
    for batch in made:
        sizes = [lengths[index] for index in batch]
        assert len(batch) <= batch_size
        assert sum(sizes) >= 0.9 * max(sizes) * len(batch)
