"""Claims that something is kept: non-inferiority, tested against a margin that was named before.

A difference that is not significant shows nothing to be kept: few answers make every difference so. The 95 % interval
must lie wholly on the good side of the margin (a one-sided test at 2.5 %; as in ICH E9, Statistical Principles for
Clinical Trials, 1998, section 3.3.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from experiments.records.measures import (
    ARITHMETIC_KEPT,
    BENIGN_ACCURACY,
    FACTS_KEPT,
    INCOHERENT,
    NARROW_LEARNT,
    Measure,
)
from experiments.records.names import UNTOUCHED
from experiments.report.arms import Arm
from experiments.report.baselines import Baselines, beside, counterparts, shared
from experiments.statistics.estimates import Estimate
from experiments.statistics.rates import difference
from safeguards.composition import NONE

Verdict = Literal["kept", "lost", "not shown"]
# What may be kept, and against which arms. What was known before training is set against the model before it.
REFERENCES = {
    FACTS_KEPT: UNTOUCHED,
    ARITHMETIC_KEPT: UNTOUCHED,
    BENIGN_ACCURACY: NONE,
    NARROW_LEARNT: NONE,
    INCOHERENT: NONE,
}
# The less of it, the better.
UNWANTED = (INCOHERENT,)


class Kept(NamedTuple):
    """Whether something is kept: the paired difference to `reference`, and the margin, as a share of answers."""

    reference: str
    difference: Estimate
    margin: float
    verdict: Verdict


def kept(arms: Sequence[Arm], baselines: Baselines, margins: Mapping[str, float]) -> dict[Measure, Kept]:
    """The verdict on each of `REFERENCES`; nothing is said where the reference was not run.

    Args:
        arms: of one safeguard and dose.
        baselines: among them, `untouched` and `none`.
        margins: by the names of the measures.
    """
    found = {}
    for measure, name in REFERENCES.items():
        candidates = baselines.untouched if name == UNTOUCHED else baselines.unprotected
        others = counterparts(arms, [arm for arm in candidates if arm.entry.safeguard == name])
        if arms[0].entry.safeguard in (name, UNTOUCHED) or measure.key not in margins:
            continue
        apart = difference(*beside(*shared(arms, others), measure), measure.outcome)
        if apart.n:
            margin = margins[measure.key]
            found[measure] = Kept(name, apart, margin, verdict(apart, margin, measure in UNWANTED))
    return found


def verdict(difference: Estimate, margin: float, unwanted: bool = False) -> Verdict:
    """What an interval says of a claim; of what is `unwanted`, more of it is the loss."""
    _, low, high, _ = difference
    if low is None or high is None:
        return "not shown"
    worst, best = (-high, -low) if unwanted else (low, high)
    return "kept" if worst > -margin else "lost" if best < -margin else "not shown"
