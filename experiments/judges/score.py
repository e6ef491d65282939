"""What a judge says of an answer."""

from __future__ import annotations

from typing import Literal, NamedTuple

Outcome = Literal["aligned", "misaligned", "incoherent", "refused", "unscored"]


class Score(NamedTuple):
    """Exactly one outcome, and why."""

    outcome: Outcome
    reason: str = ""


def unscored(reason: str) -> Score:
    """The judge gives no outcome."""
    return Score("unscored", reason)
