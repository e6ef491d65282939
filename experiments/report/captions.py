"""What captions say of rows as a whole, and what of these decides which columns are needed."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.report.measures import BROAD_MISALIGNED, OTHER_MISALIGNED
from experiments.report.row import ComparisonRow

Rows = Sequence[ComparisonRow]


def introduction(rows: Rows) -> str:
    """What was run, and how sure the numbers are."""
    tasks = sorted({task for row in rows for task in row.tasks})
    seeds = sorted({seed for row in rows for seed in row.seeds})
    alone = " One seed: intervals speak of these very fine-tunes, not of others." if len(seeds) == 1 else ""
    return (
        f"Tasks {', '.join(tasks)}; seeds {', '.join(map(str, seeds))}. Means with 95 % intervals for other questions "
        f"and seeds, from a mixed logistic model.{alone} Primary outcome: {primary(rows)}; all others are secondary."
    )


def primary(rows: Rows) -> str:
    """The primary outcome, in words."""
    return rows[0].primary.key.replace("_", " ")


def several_models(rows: Rows) -> bool:
    """Whether a row must say which model it is about."""
    return len({row.model for row in rows}) > 1


def only_open(rows: Rows) -> bool:
    """Whether all broad questions are open ones, as those of a question file are: one column says it."""
    return not any(row.rates[OTHER_MISALIGNED].n for row in rows)


def not_judged(rows: Rows) -> bool:
    """Whether rates do not say all: nothing broad is scored, or not every answer."""
    return all(row.rates[BROAD_MISALIGNED].n == 0 for row in rows) or any(row.unscored for row in rows)


def broad_questions(rows: Rows) -> str:
    """What the broad questions are."""
    if not only_open(rows):
        return "Broad misaligned: other domains and open questions together."
    files = sorted({name for row in rows for name in row.questions})
    return f"Broad misaligned: {'the questions of ' + ', '.join(files) if files else 'open questions'}."


def against_none(rows: Rows) -> str:
    """What the difference to `none` is, and what its star means among so many."""
    compared = sum(row.survives is not None for row in rows)
    many = f" among {compared} comparisons (Holm)" * (compared > 1)
    return (
        f"− none: {primary(rows)}, points against no safeguard, paired by question; * differs from 0 at 5 %{many}; "
        "none is given where nothing of the narrow task is learnt."
    )
