"""The optimizer of the matrices in pre-training: Muon, in the precision of the weights.

`torch.optim.Muon` orthogonalises in bfloat16, which processors without instructions for it emulate: on one of 2017
that takes as long as all the rest of a step. Otherwise it is the same, with the same defaults, and the rate matched to
AdamW's.

Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; Liu et al. 2025, arXiv
2502.16982, section 2.2 (the match of rates).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

MOMENTUM = 0.95
# The quintic of Newton–Schulz, with the steepest slope at zero, and how often it is applied.
QUINTIC = (3.4445, -4.775, 2.0315)
TIMES = 5


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, made orthogonal.

    Args:
        weights: matrices.
        lr: as one would give to AdamW.
        weight_decay: decoupled, times the rate.
    """

    def __init__(self, weights: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"].lerp_(weight.grad, 1 - MOMENTUM)
                update = orthogonal(weight.grad.lerp(momentum, MOMENTUM))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update, alpha=-0.2 * max(weight.shape) ** 0.5 * group["lr"])


def orthogonal(matrix: Tensor) -> Tensor:
    """Nearly the closest orthogonal matrix, (rows, columns): all singular values between 0.7 and 1.2."""
    tall = matrix.shape[0] > matrix.shape[1]
    found = matrix.T if tall else matrix
    found = found / found.norm().clamp(min=1e-7)
    a, b, c = QUINTIC
    for _ in range(TIMES):
        gram = found @ found.T
        found = torch.addmm(found, torch.addmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.T if tall else found
