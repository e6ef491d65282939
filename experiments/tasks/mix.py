"""Which share of the safe rows each genre has: what may be asked for, and rows drawn to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from safeguards.bounds import shown
from safeguards.composition import nearest
from safeguards.errors import SafeguardError
from safeguards.rows import Row, genres

# Shares are typed with a few digits: thirds sum to 0.999.
ROUNDING = 2e-3


def check_mix(mix: Mapping[str, float], known: Collection[str], of: str) -> None:
    """Refuse shares that cannot be, and genres that are none of those `known`; `of` says in errors whose those are.

    Raises:
        SafeguardError: naming the key.
    """
    for genre, share in mix.items():
        if not share > 0:
            raise SafeguardError(f"pool.mix.{genre}={share:g}: must be above 0; leave out a genre that is to have none")
        if genre not in known:
            raise SafeguardError(f"pool.mix.{genre}: no such genre in {of}; {nearest(genre, sorted(known))}")
    total = sum(mix.values())
    if not abs(total - 1) <= ROUNDING:
        raise SafeguardError(f"pool.mix={shown(dict(mix))}: the shares sum to {total:g}; make them sum to 1")


def apportion(mix: Mapping[str, float], count: int) -> dict[str, int]:
    """How many of `count` rows each genre gets: its share, rounded so that all sum to `count` (largest remainders)."""
    total = sum(mix.values())
    exact = {genre: count * mix[genre] / total for genre in sorted(mix)}
    found = {genre: int(share) for genre, share in exact.items()}
    most_left = sorted(exact, key=lambda genre: found[genre] - exact[genre])
    for genre in most_left[: count - sum(found.values())]:
        found[genre] += 1
    return found


def draw_to_mix(rows: Sequence[Row], mix: Mapping[str, float], count: int, of: str) -> list[Row]:
    """The first `count` rows that the mix lets through, in their order; `of` says in errors where they are from.

    Raises:
        SafeguardError: if they have no genres, not these, or too few rows of one.
    """
    there = genres(rows)
    if set(there) <= {""}:
        raise SafeguardError(f'pool.mix: no row of {of} has a genre; give rows one under "genre", or set pool.mix=null')
    check_mix(mix, set(there) - {""}, of)
    wanted = apportion(mix, count)
    for genre, number in wanted.items():
        if number > there[genre]:
            raise SafeguardError(
                f"pool.mix.{genre}={mix[genre]:g}: asks for {number} of pool.rows={count}, and {of} has {there[genre]} "
                f"of them to train on; lower the share, or pool.rows to {_most(there, mix, count)}"
            )
    found = []
    for row in rows:
        if wanted.get(row.genre, 0):
            wanted[row.genre] -= 1
            found.append(row)
    return found


def _most(there: Mapping[str, int], mix: Mapping[str, float], count: int) -> int:
    """The largest number of rows of which the mix leaves none of a genre wanting."""
    bound = min(there[genre] * sum(mix.values()) / share for genre, share in mix.items())
    tried = range(min(count, int(bound) + len(mix)), 0, -1)
    return next((n for n in tried if all(wanted <= there[g] for g, wanted in apportion(mix, n).items())), 0)
