"""What safe rows there were, and which of them safeguards chose, by genre: for captions, and a table of gaps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.report.arms import Arm
from experiments.report.labels import named_groups
from experiments.report.table import Column

# What a safeguard leaves in the record: `safeguards.run` and `interleave_ppl` say what is in it.
POOL, CHOSEN, GAP = "pool", "chosen", "gap"


@dataclass(frozen=True)
class GenreRow:
    """What a choice of rows by their gap takes of one genre; means over the arms of a row of the comparison.

    Args:
        safeguard: as the comparison calls it; all that chose alike.
        genre: of rows of the pool.
        pool, chosen: its share of the pool and of the rows that were chosen.
        pool_gap, chosen_gap: the mean gap of its rows, and of those of them that were chosen, if any were.
    """

    safeguard: str
    genre: str
    pool: float
    chosen: float
    pool_gap: float
    chosen_gap: float | None


def of_pools(arms: Sequence[Arm]) -> str:
    """A sentence for the caption of a table of these arms: the mix of their safe rows; nothing if none used a pool."""
    mixes = {name: mix for name, own in named_groups(arms).items() if (mix := mix_of(own))}
    pools: dict[str, list[str]] = defaultdict(list)
    for name, mix in mixes.items():
        pools[mix].append(name)
    if len(pools) < 2:
        return "".join(f"Safe rows: {mix}." for mix in pools)
    each = [f"{', '.join(names)}: {mix}" for mix, names in pools.items()]
    return f"Safe rows differ. {'; '.join(each)}."


def mix_of(arms: Sequence[Arm]) -> str:
    """The number of safe rows in the pool of these arms and the shares of their genres, in words; means over arms."""
    counts = mean_counts(_noted(arms, POOL))
    if not counts:
        return ""
    total = sum(counts.values())
    several = sorted(counts, key=lambda genre: (-round(100 * counts[genre] / total), genre))
    shares = [f"{100 * counts[genre] / total:.0f} % {genre or 'of no stated genre'}" for genre in several]
    said = "of no stated genre" if set(counts) == {""} else f"of which {', '.join(shares)}"
    if domains := arms[0].entry.settings.get("pool", {}).get("domains"):
        said += f" about {', '.join(domains)} only"
    return f"{total:,.0f}, {said}"


def genre_rows(arms: Sequence[Arm]) -> list[GenreRow]:
    """Of each choice by gap from a pool with genres, a row for each genre, the most chosen first."""
    alike: dict[str, list[str]] = defaultdict(list)
    found: dict[str, list[dict[str, dict[str, Any]]]] = {}
    for name, own in named_groups(arms).items():
        noted = [by_genre for gap in _noted(own, GAP) if any(by_genre := gap.get("genres", {}))]
        if noted:
            alike[repr(noted)].append(name)
            found[repr(noted)] = noted
    return [row for key, names in alike.items() for row in _rows_of(", ".join(names), found[key])]


def _rows_of(name: str, noted: Sequence[Mapping[str, Mapping[str, Any]]]) -> list[GenreRow]:
    pool, chosen = ([{genre: own[which] for genre, own in by.items()} for by in noted] for which in (POOL, CHOSEN))
    in_pool, in_chosen = mean_counts(pool), mean_counts(chosen)
    rows = [
        GenreRow(
            name,
            genre or "none stated",
            in_pool[genre] / sum(in_pool.values()),
            in_chosen[genre] / max(sum(in_chosen.values()), 1),
            _mean([by[genre]["pool_gap"] for by in noted if genre in by]) or 0.0,
            _mean([by[genre]["chosen_gap"] for by in noted if genre in by]),
        )
        for genre in in_pool
    ]
    return sorted(rows, key=lambda row: (-row.chosen, -row.pool))


def _noted(arms: Sequence[Arm], key: str) -> list[dict[str, Any]]:
    """What the arms have in their records under a key, those that have something."""
    trained = [arm.result.training for arm in arms if arm.result.training is not None]
    return [training.notes[key] for training in trained if training.notes.get(key)]


def mean_counts(counts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """By genre, the mean number of rows over arms; what an arm has none of counts as 0."""
    every = dict.fromkeys(genre for own in counts for genre in own)
    return {genre: sum(own.get(genre, 0) for own in counts) / len(counts) for genre in every}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


GENRES: tuple[Column[GenreRow], ...] = (
    Column("safeguard", "safeguard", lambda row: row.safeguard),
    Column("genre", "genre", lambda row: row.genre),
    Column("pool", "of the pool %", lambda row: row.pool, lambda row: _percent(row.pool)),
    Column("chosen", "of the chosen %", lambda row: row.chosen, lambda row: _percent(row.chosen)),
    Column("pool_gap", "gap in the pool", lambda row: row.pool_gap, lambda row: f"{row.pool_gap:.3f}"),
    Column(
        "chosen_gap",
        "gap of the chosen",
        lambda row: row.chosen_gap,
        lambda row: "" if row.chosen_gap is None else f"{row.chosen_gap:.3f}",
        "Gap: how much more surprising a row is to the scorers than to the model before fine-tuning. Where a genre has "
        "most of the gap, what helps may be the genre: control=genres draws as many rows of each at random.",
    ),
)
