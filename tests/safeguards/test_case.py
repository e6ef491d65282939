"""The case for the safeguards of a training, and the log of their terms."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from safeguards import Safeguard
from safeguards.case import Case
from safeguards.proof import is_early
from safeguards.terms import Terms


@dataclass
class Nothing:
    """No settings."""


class Dead(Safeguard):
    """Never has an effect."""

    name = "dead"
    Settings = Nothing

    def check(self, evidence: object) -> list[str]:
        """Always something."""
        return ["dead: nothing was seen"]


def test_a_training_may_begin_before_anything_was_seen():
    case = Case([])
    case.begin()
    assert (case.trace, case.missing) == ([], [])


def test_a_step_at_which_nothing_is_asked_has_no_verdict():
    case, steps = Case([Dead()]), 1000
    asked = next(step for step in range(1, steps) if is_early(step, steps))
    other = next(step for step in range(asked + 1, steps) if not is_early(step, steps))
    assert case.judge(asked, steps) == case.missing == ["dead: nothing was seen"]
    assert case.judge(other, steps) == []


def test_terms_of_one_name_are_not_averaged():
    terms = Terms([])
    for step in (1, 2):
        values = [(safeguard, "pull", torch.tensor(value)) for safeguard, value in (("one", 1.0), ("other", 3.0))]
        terms.note(step, torch.tensor(0.5), values)
    assert terms.means() == {"cross_entropy": 0.5, "safeguard/pull": 1.0, "safeguard/other/pull": 3.0}
