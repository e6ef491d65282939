"""Who scores the answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from experiments.judges.exact import judge_exactly
from experiments.judges.score import Score, unscored
from experiments.organism.world import World
from experiments.probes.probe import Probe
from safeguards.composition import nearest
from safeguards.safeguard import SafeguardError

Judge = Callable[[Probe, str], Score]
JUDGES: dict[str, Callable[[World], Judge]] = {
    "exact": lambda world: partial(judge_exactly, world),
    "none": lambda world: lambda probe, answer: unscored("no judge was asked for"),
}

__all__ = ["JUDGES", "Judge", "Score", "find_judge"]


def find_judge(name: str, world: World) -> Judge:
    """The judge called `name`; the exact one knows `world`."""
    if name not in JUDGES:
        raise SafeguardError(f"unknown judge {name!r}: {nearest(name, list(JUDGES))}")
    return JUDGES[name](world)
