"""A closer look: the headline measures of each safeguard after each task, with each seed, or in each world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from experiments.records.measures import BENIGN_ACCURACY, BROAD_MISALIGNED, INCOHERENT, NARROW_LEARNT, Measure
from experiments.report.arms import Arm
from experiments.report.labels import named_groups
from experiments.report.measures import estimate
from experiments.report.table import Column
from experiments.statistics.estimates import Estimate
from experiments.terminal.printing import progress

Part = Literal["task", "seed", "world"]
HEADLINES = {
    BROAD_MISALIGNED: "broad misaligned %",
    NARROW_LEARNT: "narrow learnt %",
    INCOHERENT: "incoherent %",
    BENIGN_ACCURACY: "benign accuracy %",
}


@dataclass(frozen=True)
class PartRow:
    """One safeguard after one task, with one seed or in one world, over all that it has of the other two.

    Args:
        safeguard: as the comparison calls it, with the model if there are several.
        part: the task, the seed or the world.
        arms: how many there are of it.
        rates: of `HEADLINES`.
        answers: to the broad questions; to those of the task where there are no broad ones.
    """

    safeguard: str
    part: str
    arms: int
    rates: Mapping[Measure, Estimate]
    answers: int


def part_rows(arms: Sequence[Arm], by: Part) -> list[PartRow]:
    """The rows of a table by task, by seed or by world, in the order of the comparison."""
    parts: dict[tuple[str, str], list[Arm]] = {}
    for name, members in named_groups(arms).items():
        for arm in members:
            part = arm.world if by == "world" else str(getattr(arm.entry, by))
            parts.setdefault((name, part), []).append(arm)
    rows = []
    for (name, part), members in progress(list(parts.items()), f"by {by}"):
        rates = {measure: estimate(members, measure) for measure in HEADLINES}
        answers = rates[BROAD_MISALIGNED].n or rates[NARROW_LEARNT].n or rates[BENIGN_ACCURACY].n
        rows.append(PartRow(name, part, len(members), rates, answers))
    return rows


def part_columns(by: Part, worlds: bool = False) -> tuple[Column[PartRow], ...]:
    """The table of these rows; `worlds` says whether there are several."""
    others = [part for part in ("task", "seed", *(["world"] * worlds)) if part != by]
    over = " and ".join(f"{each}s" for each in others)
    alone = {
        "world": " One world says nothing of others.",
        "seed": " One fine-tune says nothing of others." * (not worlds),
    }
    caption = f"Rates over all {over}, with 95 % intervals as in the comparison.{alone.get(by, '')}"

    def rate(measure: Measure) -> Column[PartRow]:
        return Column(measure.key, HEADLINES[measure], lambda row: row.rates[measure])

    return (
        Column("safeguard", "safeguard", lambda row: row.safeguard, caption=caption),
        Column(by, by, lambda row: row.part),
        *map(rate, HEADLINES),
        Column("arms", "arms", lambda row: row.arms),
        Column("answers", "answers", lambda row: row.answers, caption="Answers: those behind the first rate."),
    )
