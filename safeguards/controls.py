"""Random rows as like chosen ones as can be but for the choice: what they do, too, the choice is not needed for."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from safeguards.rows import SAFE, Row

# What of the chosen rows random ones have as well, beside the tokens.
ANY, GENRES = "any", "genres"


def of_equal_tokens(pool: Sequence[Row], lengths: Sequence[int], tokens: int, seed: int) -> list[Row]:
    """Random rows of `pool`, of the given `lengths`, that together have as nearly as possible so many tokens."""
    order = random.Random(f"control {seed}").sample(range(len(pool)), len(pool))
    totals = np.cumsum([lengths[index] for index in order])
    count = int(np.abs(totals - tokens).argmin()) + 1
    return [replace(pool[index], source=SAFE) for index in order[:count]]


def of_equal_genres(
    pool: Sequence[Row], lengths: Sequence[int], chosen: Sequence[Row], tokens: int, seed: int
) -> list[Row]:
    """As many random rows of `pool` of each genre as are `chosen`, with as nearly as possible so many `tokens`.

    Rows are drawn whatever their length, and then exchanged within their genre for as long as one exchange brings the
    tokens nearer: as few as that takes, so that what is left is as random as it can be.

    Args:
        pool: rows to draw from, the chosen ones among them.
        lengths: of these, in tokens.
        chosen: rows to be like.
        tokens: of the chosen rows together.
        seed: of the draw.
    """
    order = random.Random(f"control of genres {seed}").sample(range(len(pool)), len(pool))
    sizes = np.array(lengths)
    drawn: dict[str, list[int]] = {}
    spare: dict[str, list[int]] = {}
    for genre, count in Counter(row.genre for row in chosen).items():
        own = [index for index in order if pool[index].genre == genre]
        drawn[genre], spare[genre] = own[:count], own[count:]
    over = sum(lengths[index] for own in drawn.values() for index in own) - tokens
    before = None
    while over != before:
        before = over
        for genre, own in drawn.items():
            over = _exchange(own, spare[genre], sizes, over)
    return [replace(pool[index], source=SAFE) for own in drawn.values() for index in own]


def _exchange(own: list[int], spare: list[int], sizes: np.ndarray, over: int) -> int:
    """Exchange rows, each at most once, where that brings what they have `over` nearer to 0; what is over then."""
    for place, index in enumerate(own):
        if not over or not spare:
            break
        left = over + sizes[spare] - sizes[index]
        best = int(np.abs(left).argmin())
        if abs(left[best]) < abs(over):
            own[place], spare[best], over = spare[best], index, int(left[best])
    return over
