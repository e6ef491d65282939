"""A candidate that a search is done with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from experiments.searching.requirements import Rates
from experiments.searching.space import Candidate


@dataclass(frozen=True)
class Tried:
    """A candidate that is done with.

    Args:
        number: of the candidate, in the order in which they were begun.
        candidate: what was tried.
        arms: that were run for it.
        rates: of its measures; those of the arms that were run, if it was given up.
        missed: by requirement, by which share of answers it is missed; 0 or less where it is met.
        given_up: why it was not tried to the end; empty if it was.
    """

    number: int
    candidate: Candidate
    arms: int
    rates: Rates
    missed: Mapping[str, float]
    given_up: str = ""

    @property
    def meets_all(self) -> bool:
        """Whether nothing that is required is missed."""
        return not self.given_up and all(value <= 0 for value in self.missed.values())

    @property
    def short(self) -> float:
        """By how much all is missed together."""
        return sum(max(0.0, value) for value in self.missed.values())
