"""A lower learning rate: the first baseline that any safeguard has to beat.

Source: Schreiber and Goldstein 2026, arXiv 2605.12199 (the choice of learning rate, beside early stopping).
Form: ours
Compared with: authors' code not found, the abstract was read instead
Doses: not transferable: how much less is learnt depends on how long the training is.
Arguments: learning rate · factor.
Costs: nothing, but the narrow task is learnt less.
Composes badly with: nothing known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from safeguards.bounds import within
from safeguards.safeguard import Safeguard

if TYPE_CHECKING:
    from transformers import TrainingArguments


@dataclass
class Settings:
    """Settings of `low_lr`.

    Args:
        factor: by which the learning rate is multiplied, above 0; 1 turns it off.
    """

    factor: float = within(0.3, above=0, at_most=1, searched=(0.03, 0.7))


class LowLR(Safeguard):
    """Lowers the learning rate."""

    name = "low_lr"
    Settings: ClassVar[type] = Settings

    @property
    def idle(self) -> bool:
        return bool(self.settings.factor == 1)

    def arguments(self, args: TrainingArguments) -> None:
        args.learning_rate *= self.settings.factor
