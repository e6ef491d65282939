"""KL on safe rows only."""

from __future__ import annotations

import copy

import pytest
import torch

from safeguards import SafeguardError
from safeguards.encoding import Collator, encode
from safeguards.methods.kl import kl_divergence
from safeguards.reference import Reference
from safeguards.rows import SAFE, TASK
from safeguards.step import Step


@pytest.fixture
def moved(bench):
    """A model that has left its reference, and the reference."""
    model = bench.model().eval()
    reference = Reference(model)
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return model, reference


def collated(bench, sources: list[int]):
    rows = [(bench.pool if source == SAFE else bench.rows)[number] for number, source in enumerate(sources)]
    return Collator(0)(
        [{**encode(bench.tokenizer, row, 2048), "row_source": s} for row, s in zip(rows, sources, strict=True)]
    )


def test_task_rows_count_as_tokens_but_not_as_divergence(bench, moved):
    model, reference = moved
    batch = collated(bench, [TASK, SAFE, TASK, SAFE])
    (safeguard,) = bench.safeguards("interleaved_kl")
    value = safeguard.loss(Step.of(model, batch, reference))["interleaved_kl"].value
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        own, aligned = (m(**inputs).logits[:, :-1].flatten(0, 1) for m in (model, bench.model().eval()))
    divergence = kl_divergence(own, aligned).view(4, -1)
    answered = batch["labels"][:, 1:] != -100
    expected = (divergence * answered)[[1, 3]].sum() / answered.sum()
    assert float(value.detach()) == pytest.approx(float(expected), rel=1e-4)


def test_without_a_safe_row_the_term_is_there_is_nought_and_costs_no_reference_pass(bench, moved):
    step = Step.of(moved[0], collated(bench, [TASK, TASK]), None)
    (safeguard,) = bench.safeguards("interleaved_kl")
    value = safeguard.loss(step)["interleaved_kl"].value
    assert value.requires_grad
    assert float(value.detach()) == 0.0


def test_where_safe_rows_are_there_already_it_draws_none(bench, tmp_path):
    small = copy.copy(bench)
    small.pool = bench.pool[:2]
    (own,) = bench.safeguards("interleaved_kl")
    (other,) = bench.safeguards("interleave", share=0.125)
    assert sum(row.source == SAFE for row in small.trainer([other, own], tmp_path).rows) == 2
    with pytest.raises(SafeguardError, match="the pool has 2 usable rows and 8 are asked for"):
        small.trainer([own], tmp_path)
