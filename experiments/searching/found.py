"""What a search has found: the frontier, the nearest where nothing meets what is required, and what mattered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.records.measures import BROAD_MISALIGNED, Measure
from experiments.searching.requirements import Rates, Requirement
from experiments.searching.search import best_of, nearest_of
from experiments.searching.space import Space
from experiments.searching.tried import Tried
from experiments.statistics.effects import linear_effects, unbeaten
from experiments.statistics.estimates import Estimate

# A dose counts in steps of this factor.
TENFOLD = 10.0


@dataclass(frozen=True)
class Effect:
    """What a safeguard, or ten times its dose, does to broad misalignment, all else alike; a share of answers."""

    what: str
    broad: Estimate


@dataclass(frozen=True)
class Found:
    """What a search has found.

    Args:
        keep: what was required.
        goals: measures, and whether more of each is better.
        references: rates of `none` and `untouched`.
        tried: candidates that are done with.
        best: what lets least through of what meets all; None if nothing does.
        nearest: what misses least, where nothing meets all.
        frontier: of what meets all (else of all that was tried to the end) what nothing beats in every goal.
        effects: of the safeguards and their doses, those that do most first.
    """

    keep: Sequence[Requirement]
    goals: Sequence[tuple[Measure, bool]]
    references: Mapping[str, Rates]
    tried: Sequence[Tried]
    best: Tried | None
    nearest: Tried | None
    frontier: Sequence[Tried]
    effects: Sequence[Effect]


def find(
    keep: Sequence[Requirement],
    goals: Sequence[tuple[Measure, bool]],
    references: Mapping[str, Rates],
    tried: Sequence[Tried],
    space: Space,
) -> Found:
    """Look through what was tried."""
    best = best_of(tried)
    among = [each for each in tried if (each.meets_all if best else not each.given_up)]
    lower = [[-each.rates[measure] if more else each.rates[measure] for measure, more in goals] for each in among]
    front = [each for each, kept in zip(among, unbeaten(lower), strict=True) if kept]
    front.sort(key=lambda each: each.rates[BROAD_MISALIGNED])
    distinct = list({each.candidate: each for each in front}.values())
    return Found(keep, goals, references, tried, best, nearest_of(tried), distinct, effects(tried, space))


def effects(tried: Sequence[Tried], space: Space) -> list[Effect]:
    """What each safeguard and its doses do to broad misalignment, from all candidates of which that is known."""
    known = [each for each in tried if BROAD_MISALIGNED in each.rates]
    columns = {name: [float(name in each.candidate.members) for each in known] for name in space.safeguards}
    for name in space.safeguards:
        for one in space.ranges.get(name, ()):
            if one.choices or not one.usual:
                continue
            doses = [each.candidate.dose(one.key) for each in known]
            steps = [math.log(float(dose) / float(one.usual), TENFOLD) if dose else 0.0 for dose in doses]
            columns[f"{one.key.removeprefix('safeguards.')} × 10"] = steps
    parts = np.array(list(columns.values())).T.reshape(len(known), len(columns))
    values = np.array([each.rates[BROAD_MISALIGNED] for each in known])
    found = [Effect(what, broad) for what, broad in zip(columns, linear_effects(parts, values), strict=True)]
    found = [each for each in found if each.broad.mean is not None]
    return sorted(found, key=lambda each: each.broad.mean or 0.0)
