"""What a comparison over so many worlds, domains and seeds can find, by the variances that `variances` has parted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy import stats

from experiments.statistics.variances import BOTH, DOMAIN, SEED, WORLD, Parted

LEVEL, POWER = 0.95, 0.8
# Designs of up to so many worlds, domains and seeds are looked at.
MOST = 10


class Design(NamedTuple):
    """How many of each are drawn."""

    worlds: int
    domains: int
    seeds: int

    @property
    def fine_tunes(self) -> int:
        """Of one safeguard."""
        return self.worlds * self.domains * self.seeds

    def __str__(self) -> str:
        return f"{self.worlds} × {self.domains} × {self.seeds}"


class Found(NamedTuple):
    """What a design finds: half the width of its 95 % interval, and the difference that is found with 80 % power."""

    half_width: float
    smallest: float


@dataclass(frozen=True)
class Variances:
    """Of a difference: between worlds, domains and seeds, of domain and world together, and of questions and answers.

    Of what is None, no more than one can be drawn: it is not known how far others lie apart.

    Args:
        world, domain, seed, both: between fine-tunes.
        everywhere: noise of questions that all worlds share.
        of_world: noise of questions of a world, which its domains and seeds share.
        of_answers: noise that each fine-tune has for itself.
    """

    world: float | None
    domain: float | None
    seed: float | None
    both: float
    everywhere: float
    of_world: float
    of_answers: float

    @classmethod
    def of(cls, parted: Parted, worlds: Sequence[str]) -> Variances:
        """Of a difference that was parted; `worlds` says which each fine-tune is of."""
        names = np.array(worlds)
        same = (names[:, None] == names) & ~np.eye(len(names), dtype=bool)
        alike, apart = (mean_of(parted.noise[where]) for where in (same, names[:, None] != names))
        alone = float(np.diag(parted.noise).mean())
        everywhere = max(apart, 0.0)
        of_world = max(alike - everywhere, 0.0)
        return cls(
            world=parted.variance(WORLD),
            domain=parted.variance(DOMAIN),
            seed=parted.variance(SEED),
            both=parted.variance(BOTH) or 0.0,
            everywhere=everywhere,
            of_world=of_world,
            of_answers=max(alone - everywhere - of_world, 0.0),
        )


def mean_of(values: np.ndarray) -> float:
    """0 of none."""
    return float(values.mean()) if values.size else 0.0


def finds(variances: Variances, design: Design) -> Found | None:
    """What a design finds; None where it draws too few to know how far they differ.

    Each part of the variance of the mean has as many degrees of freedom as were drawn, and their sum those of
    Satterthwaite (1946, Biometrics Bulletin 2:110).
    """
    worlds, domains, seeds = design
    cells = worlds * domains
    parts = (
        ((variances.world or 0.0) / worlds, worlds - 1),
        ((variances.domain or 0.0) / domains, domains - 1),
        (variances.both / cells, (worlds - 1) * (domains - 1)),
        ((variances.seed or 0.0) / design.fine_tunes, cells * (seeds - 1)),
    )
    if any(variance > 0 and free < 1 for variance, free in parts):
        return None
    noise = variances.everywhere + variances.of_world / worlds + variances.of_answers / design.fine_tunes
    whole = sum(variance for variance, _ in parts) + noise
    unsure = sum(variance**2 / free for variance, free in parts if variance > 0)
    free = whole**2 / unsure if unsure > 0 else np.inf
    error = np.sqrt(whole)
    wide, more = stats.t.ppf([(1 + LEVEL) / 2, POWER], free)
    return Found(float(wide * error), float((wide + more) * error))


def least(variances: Variances, difference: float) -> Design | None:
    """The design of the fewest fine-tunes, then worlds, that finds a difference; None if none of up to `MOST` does."""
    found = [
        design
        for design in designs(variances)
        if (finding := finds(variances, design)) is not None and finding.smallest <= difference
    ]
    return min(found, key=lambda design: (design.fine_tunes, design), default=None)


def designs(variances: Variances) -> Iterator[Design]:
    """All that may be drawn: two at least of what is to be known of others, and one of what is not known."""
    known = (variances.world, variances.domain, variances.seed)
    return (Design(*each) for each in product(*(range(1, 2) if each is None else range(2, MOST + 1) for each in known)))
