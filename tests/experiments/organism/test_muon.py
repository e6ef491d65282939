"""Muon in the precision of the weights, beside that of torch, which orthogonalises in bfloat16."""

from __future__ import annotations

import pytest
import torch

from experiments.organism.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(24, 24), (48, 24), (24, 48)], ids=str)
def test_it_moves_as_that_of_torch_but_for_rounding(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    start = torch.randn(shape)
    own, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    ours = Muon([own], 0.01, 0.1)
    torchs = torch.optim.Muon([theirs], 0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")

    for _ in range(5):
        own.grad = torch.randn(shape)
        theirs.grad = own.grad.clone()
        ours.step()
        torchs.step()

    moved = (own - start).norm()
    assert (own - theirs).norm() < 0.02 * moved
    assert moved > 0.1


def test_what_is_made_orthogonal_is_nearly_so_in_either_shape() -> None:
    torch.manual_seed(1)
    for shape in ((16, 64), (64, 16)):
        found = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
        assert found.min() > 0.6
        assert found.max() < 1.3
