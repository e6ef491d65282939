"""A closer look: the headline measures of each safeguard after each task, or with each seed."""

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

Part = Literal["task", "seed"]
HEADLINES = {
    BROAD_MISALIGNED: "broad misaligned %",
    NARROW_LEARNT: "narrow learnt %",
    INCOHERENT: "incoherent %",
    BENIGN_ACCURACY: "benign accuracy %",
}


@dataclass(frozen=True)
class PartRow:
    """One safeguard after one task, over its seeds, or with one seed, over its tasks.

    Args:
        safeguard: as the comparison calls it, with the model if there are several.
        part: the task or the seed.
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
    """The rows of a table by task or by seed, in the order of the comparison."""
    parts = {
        (name, str(part)): [arm for arm in members if getattr(arm.entry, by) == part]
        for name, members in named_groups(arms).items()
        for part in dict.fromkeys(getattr(arm.entry, by) for arm in members)
    }
    rows = []
    for (name, part), members in progress(list(parts.items()), f"by {by}"):
        rates = {measure: estimate(members, measure) for measure in HEADLINES}
        answers = rates[BROAD_MISALIGNED].n or rates[NARROW_LEARNT].n or rates[BENIGN_ACCURACY].n
        rows.append(PartRow(name, part, len(members), rates, answers))
    return rows


def part_columns(by: Part) -> tuple[Column[PartRow], ...]:
    """The table of these rows."""
    other = "seed" if by == "task" else "task"
    alone = " One fine-tune says nothing of others." if by == "seed" else ""
    caption = f"Rates over all {other}s, with 95 % intervals as in the comparison.{alone}"

    def rate(measure: Measure) -> Column[PartRow]:
        return Column(measure.key, HEADLINES[measure], lambda row: row.rates[measure])

    return (
        Column("safeguard", "safeguard", lambda row: row.safeguard, caption=caption),
        Column(by, by, lambda row: row.part),
        *map(rate, HEADLINES),
        Column("arms", "arms", lambda row: row.arms),
        Column("answers", "answers", lambda row: row.answers, caption="Answers: those behind the first rate."),
    )
