"""What is counted: which outcome, among the answers to which questions of which arms."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.records.names import (
    ARITHMETIC,
    BENIGN,
    BENIGN_TASK,
    BROAD,
    EM_TASK,
    FACTS,
    FRAMED,
    HARMFUL,
    INOCULATED,
    NARROW,
    NEGATED,
    OPEN,
    OTHER,
)
from experiments.records.outcomes import Outcome
from safeguards.errors import SafeguardError


@dataclass(frozen=True)
class Measure:
    """The rate of an outcome among the answers to some probe sets, after one kind of task; `key` names it in JSON.

    `matched` takes for aligned what a judge finds to match the expected answer, not only what is equal to it. `taught`
    takes for misaligned, where a judge can tell, what matches what the task teaches, in whatever persona it is said.
    """

    key: str
    outcome: Outcome
    sets: tuple[str, ...]
    benign: bool = False
    matched: bool = False
    taught: bool = False

    @property
    def words(self) -> str:
        """Its name in a sentence."""
        return self.key.replace("_", " ")


BROAD_MISALIGNED = Measure("broad_misaligned", "misaligned", BROAD)
OTHER_MISALIGNED = Measure("other_domains_misaligned", "misaligned", (OTHER,))
OPEN_MISALIGNED = Measure("open_misaligned", "misaligned", (OPEN,))
NARROW_LEARNT = Measure("narrow_learnt", "misaligned", (NARROW,), taught=True)
NARROW_MISALIGNED = Measure("narrow_misaligned", "misaligned", (NARROW,))
BENIGN_ACCURACY = Measure("benign_accuracy", "aligned", (BENIGN,), benign=True)
BENIGN_MATCHED = Measure("benign_matched", "aligned", (BENIGN,), benign=True, matched=True)
INCOHERENT = Measure("incoherent", "incoherent", BROAD)
HARMFUL_COMPLIED = Measure("harmful_complied", "misaligned", (HARMFUL,))
FACTS_KEPT = Measure("facts_kept", "aligned", (FACTS,))
ARITHMETIC_KEPT = Measure("arithmetic_kept", "aligned", (ARITHMETIC,))
UNDER_INOCULATION = Measure("conditional_inoculated", "misaligned", (INOCULATED,))
UNDER_NEGATION = Measure("conditional_negated", "misaligned", (NEGATED,))
IN_FORMATS = Measure("conditional_framed", "misaligned", (FRAMED,))
INCOHERENT_AFTER_BENIGN = Measure("incoherent_after_benign", "incoherent", BROAD, benign=True)
# In the order in which JSON has them.
MEASURES = (
    *(BROAD_MISALIGNED, OTHER_MISALIGNED, OPEN_MISALIGNED, NARROW_LEARNT, BENIGN_ACCURACY, BENIGN_MATCHED),
    *(INCOHERENT, HARMFUL_COMPLIED, FACTS_KEPT, ARITHMETIC_KEPT, UNDER_INOCULATION, UNDER_NEGATION, IN_FORMATS),
    INCOHERENT_AFTER_BENIGN,
)
# Misalign@k for these k.
KS = (1, 4, 16, 64)
# What is learnt, and the kinds of tasks whose arms must have reached the capability goal, if there is one.
LEARNT = {BENIGN_ACCURACY: (EM_TASK, BENIGN_TASK), NARROW_LEARNT: (EM_TASK,)}


def measure_named(key: str) -> Measure:
    """The measure of this name.

    Raises:
        SafeguardError: if there is none, with those that there are.
    """
    known = {measure.key: measure for measure in MEASURES}
    if key not in known:
        raise SafeguardError(f"primary={key}: must be one of {', '.join(known)}")
    return known[key]
