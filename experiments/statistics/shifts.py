"""Means of values without bounds, such as nats, and paired differences of them, crossed over seeds and clusters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from experiments.statistics import crossed
from experiments.statistics.estimates import NOTHING, Contrast, Estimate

# What is measured once: the seed of a fine-tune or its world, the cluster, and the name of the question within it.
Key = tuple[str, str, str]


def mean_of(values: Mapping[Key, float]) -> Estimate:
    """The mean with its 95 % interval for other seeds and clusters; nothing where there are no values.

    Of one seed and one cluster there is no interval: nothing says how others differ.
    """
    if not values:
        return NOTHING
    cells = _cells(values)
    mean, low, high = crossed.interval(cells)
    return Estimate(mean, low, high, len(values)) if cells[0].size > 1 else Estimate(mean, None, None, len(values))


def shift(values: Mapping[Key, float], others: Mapping[Key, float]) -> Contrast:
    """The mean difference to others, paired by seed and question, and the probability of one so large by chance.

    After one seed there is no such probability: the difference of two fine-tunes is not that of two ways to fine-tune.
    """
    paired = {key: values[key] - others[key] for key in values if key in others}
    several = len({seed for seed, _, _ in paired}) > 1
    return Contrast(mean_of(paired), crossed.p_value(_cells(paired)) if several else None)


def _cells(values: Mapping[Key, float]) -> np.ndarray:
    """Sums and counts, (2, seeds, clusters)."""
    seeds, clusters = (sorted({key[place] for key in values}) for place in (0, 1))
    cells = np.zeros((2, len(seeds), len(clusters)))
    places = {name: place for names in (seeds, clusters) for place, name in enumerate(names)}
    for (seed, cluster, _), value in values.items():
        cells[:, places[seed], places[cluster]] += value, 1
    return cells
