"""A closer look: how much domains, worlds and seeds each make fine-tunes differ, and what a comparison needs for it.

A domain is an EM-inducing task. Both is said of the rate of broad misaligned answers and of its paired difference to
`none`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from experiments.records.measures import BROAD_MISALIGNED
from experiments.report.arms import Arm
from experiments.report.baselines import counterparts, find_baselines
from experiments.report.labels import named_groups
from experiments.report.measures import answers
from experiments.statistics.designs import Design, Found, Variances, finds, least
from experiments.statistics.estimates import Estimate
from experiments.statistics.variances import SOURCES, part
from experiments.terminal.printing import progress
from safeguards.composition import NONE

RATE, MINUS_NONE = "rate", f"minus_{NONE}"
# The difference that a comparison is to find, and the largest standard deviations that there can be.
SOUGHT = 0.1
LARGEST = {RATE: 0.5, MINUS_NONE: 1.0}


@dataclass(frozen=True)
class SourceRow:
    """One safeguard, by its rate or by its difference to `none`.

    Args:
        safeguard: as the comparison calls it, with the model if there are several.
        of: `RATE` or `MINUS_NONE`.
        fine_tunes: how many are behind it.
        design: how many worlds, domains and seeds (of the cell that has most) these are.
        mean: over domains and worlds, each counting alike.
        parts: the standard deviation by source.
        noise: that of a fine-tune with so many questions and answers.
        found: what this very design finds; None of a rate, and where it draws too few.
        needed: the least design that finds a difference of `SOUGHT`; None if none does.
    """

    safeguard: str
    of: str
    fine_tunes: int
    design: Design
    mean: float
    parts: Mapping[str, Estimate]
    noise: float
    found: Found | None = None
    needed: Design | None = None


@dataclass(frozen=True)
class Rated:
    """A fine-tune: the rate of its broad answers, and by question what that deviates by for others."""

    domain: str
    world: str
    seed: int
    rate: float
    deviations: pd.Series


def source_rows(arms: Sequence[Arm]) -> list[SourceRow]:
    """Two rows for each safeguard on tasks that may induce misalignment, `none` and the untouched model have one."""
    trained = [arm for arm in arms if not arm.benign]
    none = find_baselines(trained).arms if trained else []
    rows = []
    for name, members in progress(list(named_groups(trained).items()), "by source"):
        own = [each for arm in members if (each := rated(arm))]
        if own:
            rows.append(source_row(name, RATE, own))
        if members[0].entry.safeguard == NONE or members[0].result.training is None:
            continue
        theirs = {(arm.entry.task, arm.fine_tune): arm for arm in counterparts(members, none)}
        pairs = [
            (rated(arm), rated(theirs[at])) for arm in members if (at := (arm.entry.task, arm.fine_tune)) in theirs
        ]
        if differences := [minus(one, other) for one, other in pairs if one and other]:
            rows.append(source_row(name, MINUS_NONE, differences))
    return rows


def rated(arm: Arm) -> Rated | None:
    """The rate of an arm; None where nothing is scored.

    Other questions are drawn by set; all answers to a question are of one draw.
    """
    table = answers([arm], BROAD_MISALIGNED)
    if table.empty or (table["outcome"] == "unscored").all():
        return None
    hits = (table["outcome"] == BROAD_MISALIGNED.outcome).astype(float)
    sets, clusters = table["set"].astype(str), table["cluster"].astype(str)
    questions = clusters.groupby(sets).transform("nunique")
    left = (
        (hits - hits.groupby(sets).transform("mean")) / len(table) * np.sqrt(questions / np.maximum(questions - 1, 1))
    )
    return Rated(arm.entry.task, arm.world, arm.entry.seed, float(hits.mean()), left.groupby([sets, clusters]).sum())


def minus(one: Rated, other: Rated) -> Rated:
    """The difference of two fine-tunes that were asked the same."""
    left = one.deviations.sub(other.deviations, fill_value=0.0)
    return Rated(one.domain, one.world, one.seed, one.rate - other.rate, left)


def source_row(name: str, of: str, fine_tunes: Sequence[Rated]) -> SourceRow:
    """What these differ by, and of a difference what a comparison needs."""
    left = pd.concat([each.deviations for each in fine_tunes], axis=1).fillna(0.0).to_numpy()
    domains, worlds = [each.domain for each in fine_tunes], [each.world for each in fine_tunes]
    values = np.array([each.rate for each in fine_tunes])
    parted = part(values, domains, worlds, left.T @ left, LARGEST[of])
    cells = pd.Series([each.seed for each in fine_tunes]).groupby([worlds, domains]).nunique()
    design = Design(len(set(worlds)), len(set(domains)), int(cells.max()))
    found, needed = None, None
    if of == MINUS_NONE and any(each.mean is not None for each in parted.parts.values()):
        variances = Variances.of(parted, worlds)
        found, needed = finds(variances, design), least(variances, SOUGHT)
    noise = float(np.sqrt(np.diag(parted.noise).mean()))
    return SourceRow(name, of, len(fine_tunes), design, parted.mean, parted.parts, noise, found, needed)


def parts_known(rows: Sequence[SourceRow]) -> bool:
    """Whether anything is known of any source."""
    return any(row.parts[source].mean is not None for row in rows for source in SOURCES)
