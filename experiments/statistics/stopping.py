"""Excess over a stopping curve: what an arm lets through beyond an unprotected fine-tune, stopped where it has learnt
as much as the arm.

A curve is what one fine-tune answers at several points of its training, in order; a *place* on it is 0 at the first
point, 1 at the second, and in between a mixture of the answers of both. Two steps, each with the paired posteriors of
`kinds`, which hold where hits are rare, too:

1. Where has the curve learnt as much as the arm? The probability that it has by a place is that of the arm having
   learnt less than the curve there. It can only rise along the curve (isotonic regression), so it says how probable
   each place is.
2. What does the arm let through beyond the curve there? The posterior of the difference at each place, mixed by how
   probable the place is.

So both are uncertain in the interval: how much the arm has learnt, and how much the curve and the arm let through.
What is learnt and what is let through are asked by different questions; fine-tunes that learn more also let more
through, and not counting on that makes intervals wide rather than narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import optimize

from experiments.statistics.estimates import Estimate, difference_posterior, mean_difference, rate_in_sample
from experiments.statistics.kinds import Kinds
from experiments.statistics.macro import mean_rate
from experiments.statistics.mixed import Posterior

# Steps between two points of a curve, where the place is likely to be.
PARTS = 3
# Places that are less probable are left out.
NEGLIGIBLE = 0.005


class Stop(NamedTuple):
    """Where a curve has learnt as much as an arm.

    Attributes:
        place: by the answers as they are; the first such place.
        places, chances: where it may be, and how probably.
        beyond: whether the arm has learnt more than the curve ever does, and is set against its end.
    """

    place: float
    places: np.ndarray
    chances: np.ndarray
    beyond: bool


def find_stop(learnt: Kinds, curve: Sequence[Kinds]) -> Stop:
    """Where a curve has learnt as much as an arm, by their answers to the same questions; tasks count alike."""
    place, beyond = first_place(mean_rate(learnt), [mean_rate(point) for point in curve])
    reached = {float(n): _chance_of_less(learnt, point) for n, point in enumerate(curve)}
    for n in range(len(curve) - 1):
        if abs(reached[n + 1] - reached[n]) > NEGLIGIBLE:
            inside = n + np.arange(1, PARTS) / PARTS
            reached |= {float(each): _chance_of_less(learnt, between(curve, each)) for each in inside}
    ends = np.array(sorted(reached))
    rising = optimize.isotonic_regression([reached[each] for each in ends]).x
    chances = np.diff([0.0, *rising, 1.0])
    places = np.array([ends[0], *(ends[1:] + ends[:-1]) / 2, ends[-1]])
    likely = chances > NEGLIGIBLE
    return Stop(place, places[likely], chances[likely] / chances[likely].sum(), beyond)


def excess_at(stop: Stop, broad: Kinds, curve: Sequence[Kinds]) -> Estimate:
    """The rate of an arm less that of a curve at a stop, with its 95 % interval."""
    found = [difference_posterior(broad, between(curve, place)) for place in stop.places]
    known = [(each, chance) for each, chance in zip(found, stop.chances, strict=True) if each is not None]
    values = np.concatenate([each.values for each, _ in known])
    low, high = Posterior.of(values, np.concatenate([each.chances * chance for each, chance in known])).interval()
    mean = rate_in_sample(broad) - rate_in_sample(between(curve, stop.place))
    return Estimate(mean, min(low, mean), max(high, mean), int(sum(kind.answers.sum() for kind in broad)))


def first_place(rate: float, curve: Sequence[float]) -> tuple[float, bool]:
    """The first place at which a curve, made one that never falls, has reached a rate; its end, if it never does."""
    rising = optimize.isotonic_regression(curve).x
    last = len(rising) - 1
    if rate > rising[last]:
        return float(last), True
    after = int(np.argmax(rising >= rate))
    if after == 0:
        return 0.0, False
    below, above = rising[after - 1], rising[after]
    return after - 1 + float((rate - below) / (above - below)), False


def between(curve: Sequence[Kinds], place: float) -> Kinds:
    """The answers at a place of a curve: a mixture of those at the points before and after it."""
    before = min(int(place), len(curve) - 1)
    part = place - before
    if not part:
        return curve[before]
    pairs = zip(curve[before], curve[before + 1], strict=True)
    return tuple(
        replace(a, hits=(1 - part) * a.hits + part * b.hits, answers=(1 - part) * a.answers + part * b.answers)
        for a, b in pairs
    )


def _chance_of_less(learnt: Kinds, point: Kinds) -> float:
    """How probably an arm has learnt less than a curve at a point."""
    found = mean_difference(learnt, point)
    assert found is not None, "curves are of the arm's own questions"
    return found.below(0.0)
