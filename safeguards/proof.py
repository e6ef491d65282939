"""Proof of effect: did a safeguard change the update?

A regulariser without gradient, a hook that never fired or a selection that equals chance trains just like no
safeguard, and its row in a table is then a lie. So every training collects evidence, and says what is missing.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn

    from safeguards.safeguard import Term


class NoEffectError(RuntimeError):
    """A safeguard did nothing although its settings asked for an effect."""


# A weighted term whose gradient is below this share of the cross-entropy's changes nothing: rounding alone gives 1e-6.
NOTICEABLE = 1e-4


@dataclass
class Evidence:
    """What was seen of the safeguards during training.

    Attributes:
        gradient_shares: per safeguard and term, the largest gradient norm of the weighted term on the trainable
            weights, as a share of the cross-entropy's in the same micro-batch.
        rows_by_source: how many rows of each source went through training forward passes.
    """

    gradient_shares: dict[str, dict[str, float]] = field(default_factory=dict)
    rows_by_source: Counter[int] = field(default_factory=Counter)

    def wants(self, step: int, last: int, safeguards: Iterable[str]) -> bool:
        """Whether to look at this optimiser step: at 1, 2, 4, 8, … and the last, until every term has acted.

        Not at step 0 if there is another: a penalty on the distance to the start has its minimum there.
        """
        power_of_two = step > 0 and not step & (step - 1)
        return (power_of_two or step == last) and any(self.lacks(name) for name in safeguards)

    def look_at(
        self, safeguard: str, terms: dict[str, Term], cross_entropy: Tensor, parameters: Iterable[nn.Parameter]
    ) -> None:
        """Compare the gradient of each weighted term with that of the cross-entropy."""
        trainable = [parameter for parameter in parameters if parameter.requires_grad]
        plain = _gradient_norm(cross_entropy, trainable)
        shares = self.gradient_shares.setdefault(safeguard, {})
        for name, term in terms.items():
            share = term.weight * _gradient_norm(term.value, trainable) / max(plain, 1e-12)
            shares[name] = max(shares.get(name, 0.0), share)

    def lacks(self, safeguard: str) -> list[str]:
        """Why a safeguard that adds to the loss cannot be believed to have acted; nothing if it can."""
        shares = self.gradient_shares.get(safeguard, {})
        if not shares:
            return [f"{safeguard}: it was never seen to add a term to the loss"]
        return [
            f"{safeguard}: its loss term {name!r} never had a gradient worth {NOTICEABLE} of the cross-entropy's"
            for name, share in shares.items()
            if not share >= NOTICEABLE
        ]


def _gradient_norm(value: Tensor, parameters: list[nn.Parameter]) -> float:
    import torch

    if not value.requires_grad:
        return 0.0
    gradients = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
    squares = [float(gradient.float().pow(2).sum()) for gradient in gradients if gradient is not None]
    return math.sqrt(sum(squares))
