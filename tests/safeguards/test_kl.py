"""The divergence itself."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import kl_div

from safeguards.methods.kl import chunked_kl_divergence, kl_divergence


def test_agrees_with_torch_in_value_and_direction():
    torch.manual_seed(0)
    own, aligned = torch.randn(5, 11), torch.randn(5, 11)
    # torch's kl_div(input, target) is KL(target ‖ input).
    expected = kl_div(aligned.log_softmax(-1), own.log_softmax(-1), log_target=True, reduction="none").sum(-1)
    torch.testing.assert_close(kl_divergence(own, aligned), expected)
    assert not torch.allclose(expected, kl_divergence(aligned, own), atol=1e-3)


def test_is_zero_only_between_equals():
    logits = torch.randn(4, 7)
    torch.testing.assert_close(kl_divergence(logits, logits + 3.0), torch.zeros(4), atol=1e-6, rtol=0)
    assert (kl_divergence(logits, -logits) > 0).all()


def test_gradient_against_finite_differences():
    torch.manual_seed(0)
    own = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    aligned = torch.randn(3, 6, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda logits: kl_divergence(logits, aligned), own)


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_chunks_change_neither_value_nor_gradient(chunk):
    torch.manual_seed(0)
    head, aligned_head = torch.nn.Linear(8, 50), torch.nn.Linear(8, 50)
    hidden, aligned = torch.randn(10, 8, requires_grad=True), torch.randn(10, 8)
    whole = kl_divergence(head(hidden), aligned_head(aligned))
    pieces = chunked_kl_divergence(hidden, aligned, head, aligned_head, chunk)
    torch.testing.assert_close(pieces, whole)
    inputs = [hidden, head.weight]
    for one, other in zip(
        torch.autograd.grad(pieces.sum(), inputs), torch.autograd.grad(whole.sum(), inputs), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_the_reference_head_gets_no_gradient():
    head = torch.nn.Linear(4, 9)
    chunked_kl_divergence(
        torch.randn(6, 4, requires_grad=True), torch.randn(6, 4), torch.nn.Linear(4, 9), head, 2
    ).sum().backward()
    assert head.weight.grad is None
