"""Who scores the answers."""

from __future__ import annotations

from collections.abc import Callable

from experiments.judges.exact import judge_exactly
from experiments.judges.score import Score, unscored
from experiments.probes.probe import Probe
from safeguards.composition import nearest
from safeguards.safeguard import SafeguardError

Judge = Callable[[Probe, str], Score]
JUDGES: dict[str, Judge] = {
    "exact": judge_exactly,
    "none": lambda probe, answer: unscored("no judge was asked for"),
}

__all__ = ["JUDGES", "Judge", "Score", "find_judge"]


def find_judge(name: str) -> Judge:
    """The judge called `name`."""
    if name not in JUDGES:
        raise SafeguardError(f"unknown judge {name!r}: {nearest(name, list(JUDGES))}")
    return JUDGES[name]
