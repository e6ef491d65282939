"""Looks at the loss: how strongly each term pulls at the weights, beside the cross-entropy, at a few steps.

A look costs a backward pass for the cross-entropy and one for every term. Steps are numbered as in the log, 1 being the
first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

# A change below this share changes nothing: rounding alone gives 1e-6.
NOTICEABLE = 1e-4
# A term that has not been seen to pull is looked at in so many steps besides the regular ones.
PATIENCE = 16


@dataclass
class Look:
    """One term at one optimiser step, summed over micro-batches and processes.

    Args:
        step: number of the step.
        pull: gradient norm of the weighted term on the weights in training.
        task_pull: gradient norm of the cross-entropy.
        value: absolute value of the weighted term; 0 where it had nothing to act on.
        task_value: of the cross-entropy.
    """

    step: int
    pull: float
    task_pull: float
    value: float
    task_value: float

    @property
    def share(self) -> float:
        """The term's pull as a share of the cross-entropy's."""
        return self.pull / max(self.task_pull, 1e-12)

    @property
    def value_share(self) -> float:
        """The term's value as a share of the cross-entropy's."""
        return self.value / max(self.task_value, 1e-12)


def is_regular(step: int, steps: int) -> bool:
    """Whether every training looks at this step: 2, 4, 8, … and the last.

    Not at the first if there is another: a penalty on the distance to the start has its minimum there.
    """
    return step == steps or (step > 1 and not step & (step - 1))


def add(looks: list[Look], look: Look) -> None:
    """Add what another micro-batch or process saw, keeping the order of steps."""
    for known in looks:
        if known.step == look.step:
            known.pull += look.pull
            known.task_pull += look.task_pull
            known.value += look.value
            known.task_value += look.task_value
            return
    looks.append(look)
    looks.sort(key=lambda known: known.step)


def gradient_norm(value: Tensor, parameters: Iterable[nn.Parameter], reentrant: bool = False) -> float:
    """The norm of the gradient of a scalar on `parameters`, whose `grad` stays as it is; keeps the graph.

    Args:
        value: the scalar.
        parameters: weights in training.
        reentrant: layers are checkpointed in torch's reentrant way. Their weights are then not in the graph, and
            `torch.autograd.grad` finds no gradient where a backward pass does.
    """
    import torch

    if not value.requires_grad:
        return 0.0
    trained = list(parameters)
    if reentrant:
        before = [parameter.grad for parameter in trained]
        for parameter in trained:
            parameter.grad = None
        value.backward(retain_graph=True)
        gradients = [parameter.grad for parameter in trained]
        for parameter, gradient in zip(trained, before, strict=True):
            parameter.grad = gradient
    else:
        gradients = list(torch.autograd.grad(value, trained, retain_graph=True, allow_unused=True))
    return math.sqrt(sum(float(gradient.float().pow(2).sum()) for gradient in gradients if gradient is not None))
