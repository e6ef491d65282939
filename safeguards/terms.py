"""The terms that safeguards add to the loss: asked for, checked, and averaged for the log."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from numbers import Real
from typing import Any

from torch import Tensor

from safeguards.errors import SafeguardError
from safeguards.run import Term
from safeguards.safeguard import Safeguard
from safeguards.step import Step

# What the log calls the loss of `SFTTrainer`, apart from the terms.
CROSS_ENTROPY = "cross_entropy"


class Terms:
    """The loss seam of all safeguards.

    Args:
        safeguards: those that act.

    Attributes:
        adding: those of them that act at this seam.
        layers: residual layers that they read.
    """

    def __init__(self, safeguards: Sequence[Safeguard]) -> None:
        self.adding = [safeguard for safeguard in safeguards if safeguard.acts_at("loss")]
        self.layers = tuple(sorted({layer for safeguard in safeguards for layer in safeguard.layers}))
        self._owners: dict[str, str] = {}
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._steps: dict[int, None] = {}

    def of(self, step: Step) -> dict[str, dict[str, Term]]:
        """Named terms of a micro-batch, by safeguard."""
        return {safeguard.name: check_terms(safeguard.name, safeguard.loss(step)) for safeguard in self.adding}

    def note(self, step: int, cross_entropy: Tensor, values: Sequence[tuple[str, str, Tensor]]) -> None:
        """Keep for the log what a micro-batch adds to the loss of its step.

        Args:
            step: of the optimiser.
            cross_entropy: what `SFTTrainer` adds.
            values: safeguard, name and value of each term; one whose name another safeguard's has is logged with its
                own safeguard's, too.
        """
        self._steps[step] = None
        self._sums[CROSS_ENTROPY] += float(cross_entropy)
        for safeguard, name, value in values:
            alone = self._owners.setdefault(name, safeguard) == safeguard
            self._sums[f"safeguard/{name}" if alone else f"safeguard/{safeguard}/{name}"] += float(value)

    def means(self) -> dict[str, float]:
        """Over the steps since the last time, as `Trainer` does for the loss, so that they add up to it.

        The loss is the cross-entropy and each term times its weight; a weight that changes is not in the log.
        """
        means = {name: value / len(self._steps) for name, value in self._sums.items()}
        self._sums.clear()
        self._steps.clear()
        return means

    def state(self) -> dict[str, Any]:
        """What is not in the log yet, for JSON."""
        return {"owners": self._owners, "sums": self._sums, "steps": list(self._steps)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        self._owners = dict(state["owners"])
        self._sums = defaultdict(float, state["sums"])
        self._steps = dict.fromkeys(state["steps"])


def check_terms(safeguard: str, terms: Any) -> dict[str, Term]:
    """What the loss seam of a safeguard returned.

    Raises:
        SafeguardError: naming the safeguard, and the term that cannot be added to the loss.
    """
    if not isinstance(terms, dict):
        raise SafeguardError(
            f"{safeguard}: its loss returned a {type(terms).__name__}; return {{name: Term(value, weight)}}"
        )
    for name, term in terms.items():
        named = f"{safeguard}: its loss term {name!r}"
        if not isinstance(term, Term):
            raise SafeguardError(f"{named} is a {type(term).__name__}; make it a Term(value, weight)")
        if not isinstance(term.value, Tensor) or term.value.dim():
            kind = f"shape {tuple(term.value.shape)}" if isinstance(term.value, Tensor) else type(term.value).__name__
            raise SafeguardError(
                f"{named} has a value of {kind}; it must be a tensor of one number, such as step.mean(…)"
            )
        if not isinstance(term.weight, Real) or not math.isfinite(term.weight):
            raise SafeguardError(f"{named} has the weight {term.weight!r}; it must be a finite number")
    return terms
