"""Proof of effect: did a safeguard change the update?

A regulariser without gradient, a hook that never fired or a selection that equals chance trains just like no
safeguard, and its row in a table is then a lie. So every training collects evidence, and says what is missing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

    from safeguards.safeguard import Term


class NoEffectError(RuntimeError):
    """A safeguard did nothing although its settings asked for an effect."""


@dataclass
class Evidence:
    """What was seen of the safeguards during training.

    Attributes:
        gradient_norms: per safeguard and term, the largest gradient norm seen on the trainable weights.
        rows_by_source: how many rows of each source went through training forward passes.
    """

    gradient_norms: dict[str, dict[str, float]] = field(default_factory=dict)
    rows_by_source: Counter[int] = field(default_factory=Counter)

    def look_at(self, safeguard: str, terms: dict[str, Term], parameters: Iterable[nn.Parameter]) -> None:
        """Measure the gradient of each term that has not shown one yet."""
        import torch

        norms = self.gradient_norms.setdefault(safeguard, {})
        trainable = [parameter for parameter in parameters if parameter.requires_grad]
        for name, term in terms.items():
            if norms.get(name, 0.0) > 0:
                continue
            norms[name] = 0.0
            if term.value.requires_grad:
                gradients = torch.autograd.grad(term.value, trainable, retain_graph=True, allow_unused=True)
                norms[name] = float(sum(g.float().pow(2).sum() for g in gradients if g is not None)) ** 0.5

    def wants(self, step: int, safeguards: Iterable[str]) -> bool:
        """Whether to look at this optimiser step: at 1, 2, 4, 8, … until every term has shown a gradient.

        Not at step 0: a penalty on the distance to the start has its minimum there, so no gradient.
        """
        if step == 0 or step & (step - 1):
            return False
        return any(not self.gradient_norms.get(name) or self.missing_gradients(name) for name in safeguards)

    def missing_gradients(self, safeguard: str) -> list[str]:
        """The terms of `safeguard` that never had a gradient."""
        return [
            f"{safeguard}: its loss term {name!r} never had a gradient on the trained weights"
            for name, norm in self.gradient_norms.get(safeguard, {}).items()
            if not norm > 0
        ]
