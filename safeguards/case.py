"""The case for the safeguards of one training: what was seen of them, what is reported of it, and what is missing."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

from accelerate.utils import gather_object

from safeguards.evidence import REFERENCE, Evidence
from safeguards.handover import evidence_of
from safeguards.proof import NOT_SHOWN, is_early
from safeguards.safeguard import Safeguard


class Case:
    """Collects evidence of the safeguards of a trainer, and judges it.

    Args:
        safeguards: those that act.

    Attributes:
        evidence: what this process has seen; at the end of a training, what all have.
        trace: what is reported, a line each.
        missing: what is missing to believe that each safeguard acts.
    """

    def __init__(self, safeguards: Sequence[Safeguard]) -> None:
        self.safeguards = safeguards
        self.evidence = Evidence()
        self.trace: list[str] = []
        self.missing: list[str] = []
        self.ready()

    def saw(self, safeguard: Safeguard, seam: str, change: float, what: str) -> None:
        """Note what a safeguard did at a seam before training."""
        if safeguard.acts_at(seam):
            self.evidence.saw(safeguard.name, seam, change)
            self.note(f"{safeguard.name}: {seam} {what} (not shown: {NOT_SHOWN[seam]})")

    def note(self, line: str) -> None:
        """Add a line to what is reported."""
        self.trace.append(line)

    def ready(self) -> None:
        """All is said that is seen before training."""
        self._before_training = copy.deepcopy((self.evidence, self.trace))

    def begin(self) -> None:
        """A training begins: what an earlier one showed is no proof of this one, what was seen before both is."""
        self.evidence, self.trace = copy.deepcopy(self._before_training)
        self.missing = []

    def go_on(self, checkpoint: Path) -> None:
        """Add what all processes had seen up to a checkpoint; to be called in one of them."""
        self.evidence = Evidence.joined([evidence_of(checkpoint), self.evidence])

    def of_all(self) -> Evidence:
        """What all processes have seen."""
        return Evidence.joined(gather_object([self.evidence]))

    def judge(self, step: int, steps: int) -> list[str]:
        """What no later step can mend; nothing at the steps at which that is not asked."""
        if not self.safeguards or not is_early(step, steps):
            return []
        evidence = self.of_all()
        self.missing = [line for safeguard in self.safeguards for line in safeguard.check(evidence)]
        return self.missing

    def so_far(self) -> list[str]:
        """What is reported, with what this process has seen up to now; once the training is over, `trace`."""
        if self.evidence.over:
            return self.trace
        return self.trace + [line for safeguard in self.safeguards for line in safeguard.trace(self.evidence)]

    def close(self) -> list[str]:
        """What is missing now that the training is over."""
        self.evidence = self.of_all()
        self.evidence.over = True
        self.missing = [line for safeguard in self.safeguards for line in safeguard.check(self.evidence)]
        self.trace += [line for safeguard in self.safeguards for line in safeguard.trace(self.evidence)]
        self.trace += [f"reference passes: {self.evidence.passes[REFERENCE]}", *self.missing]
        return self.missing
