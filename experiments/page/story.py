"""The story of a sweep in a paragraph of numbers: each stands in a table, and nothing is claimed that tables do not."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.page.words import first_few, listed, many, plural, points, share
from experiments.records.measures import BENIGN_ACCURACY, BROAD_MISALIGNED, INCOHERENT, NARROW_LEARNT
from experiments.report.captions import named, primary
from experiments.report.row import ComparisonRow
from experiments.report.stopping import NOT_SHOWN, PREVENTS, SLOWS
from experiments.statistics.estimates import NOTHING, Estimate
from safeguards.composition import NONE

Rows = Sequence[ComparisonRow]

# What a safeguard may cost, as a sentence has it.
COSTS = {NARROW_LEARNT: "narrow learnt", BENIGN_ACCURACY: "benign accuracy", INCOHERENT: "coherence"}
VERDICTS = {"kept": "kept", "lost": "lost", "not shown": "not shown to be kept"}
# Of so many safeguards the numbers of their costs are told, too.
FEW = 2
# Of so many models each has a sentence of its own.
MODELS = 3


def story(rows: Rows, arms: int, answers: int, judge: str, warnings: int = 0) -> str:
    """What was run, what happens without a safeguard, what is found of which safeguard, and what is not shown.

    Args:
        rows: of the comparison.
        arms, answers: how many are behind it.
        judge: that scored the answers.
        warnings: how many stand beside the tables.
    """
    if not rows:
        return "No arm is done."
    said = [ran(rows, arms, answers, judge)]
    if any(row.rates[BROAD_MISALIGNED].n for row in rows):
        said += [*before_and_after(rows), *beside_stopping(rows), *beside_baseline(rows), *learns_nothing(rows)]
    else:
        said.append("No answer to a broad question has a score, so nothing is said of misalignment.")
    return " ".join([*said, *limits(rows, warnings)])


def ran(rows: Rows, arms: int, answers: int, judge: str) -> str:
    """What was fine-tuned on what, how often, under which safeguards, and how much is counted."""
    names = list(dict.fromkeys(row.model for row in rows))
    models, were = first_few(names), "was" if len(names) == 1 else "were"
    counted = f"{many(arms, 'arm')} with {many(answers, 'answer')}, judged by {judge}."
    trained = [row for row in rows if not row.untouched]
    if not trained:
        return f"{models} before any fine-tuning: {counted}"
    benign = list(dict.fromkeys(task for row in rows for task in row.benign_accuracy_by_task))
    tasks = [task for task in dict.fromkeys(task for row in trained for task in row.tasks) if task not in benign]
    taught = [listed(tasks)] * bool(tasks) + [f"the benign {plural('task', benign)} {listed(benign)}"] * bool(benign)
    seeds = sorted({seed for row in trained for seed in row.seeds})
    worlds = list(dict.fromkeys(world for row in rows for world in row.worlds))
    often = [f"in {many(len(worlds), 'world')} ({listed(worlds)})"] * bool(worlds)
    often += [f"with {plural('seed', seeds)} {listed(seeds)}"]
    return f"{models} {were} fine-tuned on {listed(taught)} {' '.join(often)}, {under(trained)}: {counted}"


def under(trained: Rows) -> str:
    """Under which safeguards."""
    labels = dict.fromkeys(row.safeguard for row in trained if _name(row) != NONE)
    names = list(dict.fromkeys(label.split()[0] for label in labels))
    told = first_few(names) + f" ({len(labels)} rows with their doses)" * (len(labels) > len(names))
    without = ["without a safeguard"] * any(_name(row) == NONE for row in trained)
    return ", and ".join([f"under {told}"] * bool(names) + without)


def before_and_after(rows: Rows) -> list[str]:
    """What fine-tuning without a safeguard does, model by model."""
    found = []
    models = list(dict.fromkeys(row.model for row in rows))
    for model in models[:MODELS]:
        of = f" of {model}" * (len(models) > 1)
        own = [row for row in rows if row.model == model and row.rates[BROAD_MISALIGNED].n]
        parts = [f"{share(row.rates[BROAD_MISALIGNED])} before fine-tuning" for row in own if row.untouched][:1]
        after = [row for row in own if _name(row) == NONE][:1]
        it = "it" if parts else "fine-tuning"
        parts += [f"{share(row.rates[BROAD_MISALIGNED])} after {it} without a safeguard" for row in after]
        found += [f"Of the answers{of} to broad questions, {listed(parts)} are misaligned."] * bool(parts)
        found += [f"There is no fine-tune{of} without a safeguard to compare with."] * (not after)
    return found


def beside_stopping(rows: Rows) -> list[str]:
    """The verdicts by the stopping curve: what a safeguard prevents beyond stopping early."""
    judged = [row for row in compared(rows) if _verdict(row)]
    best, slow, rest = ([row for row in judged if _verdict(row) == each] for each in (PREVENTS, SLOWS, NOT_SHOWN))
    best = sorted(best, key=lambda row: _excess(row).mean or 0.0)
    told = first_few([f"{named(row, rows)}, {_fewer(row)}{cost(row, best)}" for row in best], "; ")
    parts = [
        f"Found to prevent misalignment beyond what stopping early does, at equal narrow learning: {told}."
        * bool(best),
        f"Found to slow it only, as stopping early does: {_excesses(slow, rows)}." * bool(slow),
        f"Not shown to prevent any: {_excesses(rest, rows)}." * bool(rest),
    ]
    return [part for part in parts if part]


def beside_baseline(rows: Rows) -> list[str]:
    """What is found against the baseline, where no stopping curve gives a verdict."""
    tested = [row for row in compared(rows) if not _verdict(row) and row.survives is not None]
    differ, rest = ([row for row in tested if row.survives is each] for each in (True, False))
    outcome, baseline = primary(rows), rows[0].baseline
    found = []
    if differ:
        told = first_few([f"{named(row, rows)}, {points(row.minus_none)}{cost(row, differ)}" for row in differ], "; ")
        found.append(f"Found to differ from {baseline} in {outcome}, at 5 % over all rows: {told}.")
        found.append("Whether that is more than stopping early does cannot be told here.")
    if rest:
        told = first_few([f"{named(row, rows)} ({points(row.minus_none)})" for row in rest])
        found.append(f"No difference to {baseline} in {outcome} is shown for {told}.")
    return found


def learns_nothing(rows: Rows) -> list[str]:
    """Of what nothing can be said, since it learns nothing."""
    idle = [named(row, rows) for row in compared(rows) if row.learns[NARROW_LEARNT] is False]
    told = f"Next to nothing of the narrow task is learnt under {first_few(idle)}, so what is let through says nothing."
    return [told] * bool(idle)


def limits(rows: Rows, warnings: int) -> list[str]:
    """What a reader has to keep in mind."""
    seeds = {seed for row in rows for seed in row.seeds}
    worlds = any(row.worlds for row in rows)
    said = ["With one seed, intervals speak of these very fine-tunes and not of others."] * (len(seeds) == 1)
    if any(_verdict(row) or row.survives is not None for row in rows) and len({row.model for row in rows}) == 1:
        said.append("All of this is of one model; another may show otherwise.")  # models lie further apart than seeds
    said = [] if worlds else said
    return said + [f"Read {'the warning' if warnings == 1 else f'the {warnings} warnings'} below."] * bool(warnings)


def compared(rows: Rows) -> list[ComparisonRow]:
    """Those of which something is to be found: neither the untouched model nor a baseline."""
    gauges = {NONE, rows[0].baseline}
    return [row for row in rows if not row.untouched and not gauges & {_name(row), row.safeguard}]


def cost(row: ComparisonRow, among: Rows) -> str:
    """What it may cost in learning and coherence, by the verdict on each margin; with numbers among a few only."""
    found: dict[str, list[str]] = {}
    for measure, name in COSTS.items():
        if kept := row.kept.get(measure):
            of = "incoherent answers " * (measure == INCOHERENT)
            told = f"{name} ({of}{points(kept.difference)})" if len(among) <= FEW else name
            found.setdefault(VERDICTS[kept.verdict], []).append(told)
    told = ", ".join(f"{listed(names)} {verdict}" for verdict, names in found.items())
    return f", {told}" if told else ""


def _name(row: ComparisonRow) -> str:
    """Without its dose."""
    return row.safeguard.split()[0]


def _verdict(row: ComparisonRow) -> str | None:
    return row.stopping.verdict if row.stopping else None


def _excess(row: ComparisonRow) -> Estimate:
    return row.stopping.excess.get(NARROW_LEARNT, NOTHING) if row.stopping else NOTHING


def _fewer(row: ComparisonRow) -> str:
    """The excess, and whether it is against the end of the curve."""
    beyond = row.stopping is not None and NARROW_LEARNT in row.stopping.beyond
    return points(_excess(row)) + " (against the end of none, which learns less)" * beyond


def _excesses(rows: Rows, among: Rows) -> str:
    return first_few([f"{named(row, among)} ({points(_excess(row))})" for row in rows])
