"""What captions say of rows as a whole, and what of these decides which columns are needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from experiments.records.measures import BROAD_MISALIGNED, INCOHERENT_AFTER_BENIGN, OTHER_MISALIGNED
from experiments.report.measures import LEAST_LEARNT, MUCH_INCOHERENT
from experiments.report.row import ComparisonRow
from experiments.statistics.tradeoff import MARGIN
from safeguards.composition import NONE

Rows = Sequence[ComparisonRow]

EXCESS = (
    "Excess: broad misaligned in points beyond no safeguard, stopped where as much of the narrow task is learnt; "
    "† more is learnt than that ever learns, so that its end counts."
)
EXCESS_BENIGN = "Excess, benign: likewise, after the part of a training by which as much of the benign task is learnt."
VERDICT = (
    "Verdict: prevents, if the interval of the excess at equal narrow learning is below 0; only slows, if that is not "
    "shown and broad misaligned is below that of no safeguard; for what learns."
)


def introduction(rows: Rows) -> str:
    """What was run, and how sure the numbers are."""
    tasks = sorted({task for row in rows for task in row.tasks})
    seeds = sorted({seed for row in rows for seed in row.seeds})
    worlds = list(dict.fromkeys(world for row in rows for world in row.worlds))
    alone = (
        " One seed: intervals speak of these very fine-tunes, not of others." if len(seeds) == 1 and not worlds else ""
    )
    where = (
        f"; worlds {', '.join(worlds)}, of which each is a draw and the seeds in it count together" if worlds else ""
    )
    draws = "seeds" if not worlds else "worlds" if all(row.worlds for row in rows) else "worlds (seeds, of one world)"
    return (
        f"Tasks {', '.join(tasks)}; seeds {', '.join(map(str, seeds))}{where}. Means with 95 % intervals for other "
        f"questions and {draws}, from a mixed logistic model.{alone} Primary outcome: "
        f"{primary(rows)}; all others are secondary."
    )


def primary(rows: Rows) -> str:
    """The primary outcome, in words."""
    return rows[0].primary.words


def several_models(rows: Rows) -> bool:
    """Whether a row must say which model it is about."""
    return len({row.model for row in rows}) > 1


def named(row: ComparisonRow, rows: Rows) -> str:
    """The arm of a row, with its model where there are several."""
    return f"{row.safeguard} of {row.model}" if several_models(rows) else row.safeguard


def seeds_of(row: ComparisonRow) -> str:
    """Those of most tasks, and of each task that has others."""
    most, *_ = Counter(map(tuple, row.seeds_by_task.values())).most_common(1) or [(tuple(row.seeds), 0)]
    others = {task: own for task, own in row.seeds_by_task.items() if tuple(own) != most[0]}
    shown = [", ".join(map(str, most[0])), *(f"{task}: {', '.join(map(str, own))}" for task, own in others.items())]
    return "; ".join(shown)


def unequal_fine_tunes(rows: Rows) -> bool:
    """Whether rows come from different fine-tunes, so that each must say which."""
    return any(row.seeds_by_task != rows[0].seeds_by_task for row in rows)


def unequal_worlds(rows: Rows) -> bool:
    """Whether rows come from different worlds."""
    return any(row.worlds != rows[0].worlds for row in rows)


def unequal_answers(rows: Rows) -> bool:
    """Whether rows are about different numbers of broad answers."""
    return len({row.rates[BROAD_MISALIGNED].n for row in rows}) > 1


def incoherent_after_benign(rows: Rows) -> bool:
    """Whether there is a row that a reader is warned of, since benign fine-tunes broke it."""
    return any((row.rates[INCOHERENT_AFTER_BENIGN].mean or 0.0) >= MUCH_INCOHERENT for row in rows)


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
    """What the difference to the baseline is, and what its star means among so many."""
    compared = sum(row.survives is not None for row in rows)
    many = f" among {compared} comparisons (Holm)" * (compared > 1)
    return (
        f"{minus_baseline(rows)}: {primary(rows)}, points against {in_words(baseline_of(rows))}, paired by question "
        f"and seed; * differs from 0 at 5 %{many}; left out where nothing of the narrow task is learnt."
    )


def baseline_of(rows: Rows) -> str:
    """What rows are set against."""
    return rows[0].baseline if rows else NONE


def minus_baseline(rows: Rows) -> str:
    """The heading of a difference to it."""
    return f"− {baseline_of(rows)}"


def in_words(baseline: str) -> str:
    """As it stands in a sentence."""
    return "no safeguard" if baseline == NONE else baseline


def benign_tasks(rows: Rows) -> list[str]:
    """Those of any row."""
    return list(dict.fromkeys(task for row in rows for task in row.benign_accuracy_by_task))


def benign_accuracy(rows: Rows) -> str:
    """What it is, and of which tasks it is the mean."""
    tasks = benign_tasks(rows)
    mean = f"; the mean of {', '.join(tasks)}, each counting alike" * (len(tasks) > 1)
    return f"Benign accuracy: answers equal to a held-out one, to the letter{mean}."


def on_frontier(rows: Rows) -> str:
    """What the frontier is, and what is not on it."""
    gauge = NONE if any(row.safeguard.split()[0] == NONE for row in rows) else baseline_of(rows)
    return (
        "Frontier: how probably no other row lets less misalignment through, as much of this be learnt and at most "
        f"{MARGIN:.0%} more answers be incoherent; untouched and what learns less than {LEAST_LEARNT:.0%} of what "
        f"{gauge} learns are not ranked."
    )


def step_time(rows: Rows) -> str:
    """What step times are measured by."""
    return f"Step time: against {baseline_of(rows)}, as fast as each ran."
