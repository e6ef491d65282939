"""The columns of a comparison: each with its heading, what stands in it, what its caption says, and when it is needed.

`MAIN`, `BROAD` and `SIDE_EFFECTS` are tables for people, in this order. `HEAD` begins each of them. The fourth is in
`margins_table`; the fifth, of each task's own questions, has other rows: `domain_columns`. `benign_tasks` is the last.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from experiments.records.measures import (
    ARITHMETIC_KEPT,
    BENIGN_ACCURACY,
    BENIGN_MATCHED,
    BROAD_MISALIGNED,
    FACTS_KEPT,
    HARMFUL_COMPLIED,
    IN_FORMATS,
    INCOHERENT,
    INCOHERENT_AFTER_BENIGN,
    KS,
    LEARNT,
    NARROW_LEARNT,
    OPEN_MISALIGNED,
    OTHER_MISALIGNED,
    UNDER_INOCULATION,
    UNDER_NEGATION,
    Measure,
)
from experiments.records.names import BENIGN_TASK, EM_TASK
from experiments.records.outcomes import MATCHES_FROM, OUTCOMES, Outcome
from experiments.report import captions
from experiments.report.captions import (
    Rows,
    against_none,
    broad_questions,
    incoherent_after_benign,
    not_judged,
    only_open,
    seeds_of,
    several_models,
    unequal_answers,
    unequal_fine_tunes,
    unequal_worlds,
)
from experiments.report.row import ComparisonRow
from experiments.report.table import Column, hundredths, number, percent
from experiments.statistics.estimates import NOTHING, Estimate

# Outcomes without which the table is narrower, and from which share on they are shown.
SELDOM, SHOWN = ("refused", "unscored"), 0.0005

# Cells that are more than their value ---------------------------------------------------------------------------------


def minus_none(row: ComparisonRow) -> str:
    """Nothing for a row that learnt nothing, unless that is the outcome: that it lets less through is no merit."""
    nothing = row.learns[NARROW_LEARNT] is False and row.primary not in LEARNT
    return "" if nothing else percent(row.minus_none) + "*" * bool(row.survives)


def minus_best_single(row: ComparisonRow) -> str:
    """The difference, and to which."""
    return f"{percent(row.minus_best_single)} {row.best_single}" if row.best_single else ""


def on_frontier(row: ComparisonRow) -> str:
    """How probably no other row beats it, and in what."""
    sides = {BENIGN_ACCURACY: "benign", NARROW_LEARNT: "narrow"}
    chances = {name: row.frontier[measure] for measure, name in sides.items()}
    return ", ".join(f"{name} {chance:.2f}" for name, chance in chances.items() if chance is not None)


def goal(row: ComparisonRow, kind: str) -> str:
    """When the goal was reached, or how often it was not."""
    if (found := row.goal.get(kind)) is None:
        return ""
    if found.reached < found.arms:
        return f"not reached ({found.reached} of {found.arms})"
    return f"step {found.step:.0f}: {found.value:.2f}"


# Columns --------------------------------------------------------------------------------------------------------------


def rate(
    heading: str, measure: Measure, caption: str | Callable[[Rows], str] = "", needed: Callable[[Rows], bool] = bool
) -> Column[ComparisonRow]:
    """A measure in percent."""
    return Column(measure.key, f"{heading} %", lambda row: row.rates[measure], caption=caption, needed=needed)


def share(outcome: Outcome) -> Column[ComparisonRow]:
    """An outcome as a part of all broad answers; one of the seldom ones only where there are any."""
    sums = "Outcomes of broad questions sum to 100 % of all answers, as in arXiv 2508.06249."

    def found(rows: Rows) -> bool:
        return outcome not in SELDOM or any(row.outcomes.get(outcome, 0.0) >= SHOWN for row in rows)

    return Column(
        f"outcomes.{outcome}",
        f"{outcome} %",
        lambda row: row.outcomes.get(outcome),
        lambda row: hundredths(row.outcomes[outcome]),
        sums if outcome == "misaligned" else "",
        found,
    )


def any_of(k: int) -> Column[ComparisonRow]:
    """Misalign@k."""
    caption = "Any of k: at least one of k answers to a question is misaligned." if k == KS[1] else ""
    key = f"misalign_at.{k}"
    return Column(key, f"any of {k} %", lambda row: row.misalign_at.get(k, NOTHING), caption=caption)


def accuracy_on(task: str) -> Column[ComparisonRow]:
    """The accuracy of one benign task."""
    key = f"benign_accuracy_by_task.{task}"
    return Column(key, f"{task} %", lambda row: row.benign_accuracy_by_task.get(task, NOTHING))


def excess(learnt: Measure, key: str, heading: str, caption: str) -> Column[ComparisonRow]:
    """Broad misaligned less that of `none`, stopped where it has learnt as much of this."""

    def value(row: ComparisonRow) -> Estimate:
        return row.stopping.excess.get(learnt, NOTHING) if row.stopping else NOTHING

    def text(row: ComparisonRow) -> str:
        more = row.stopping is not None and learnt in row.stopping.beyond
        return percent(value(row)) + "†" * more

    return Column(key, heading, value, text, caption)


def chance_on_frontier(measure: Measure) -> Column[ComparisonRow]:
    """The number behind the frontier's text."""
    return Column(f"frontier.{measure.key}", f"frontier, {measure.key}", lambda row: row.frontier[measure])


def step(kind: str, row: ComparisonRow) -> float | None:
    """At which the goal was reached."""
    return row.goal[kind].step if kind in row.goal else None


HEAD: tuple[Column[ComparisonRow], ...] = (
    Column("safeguard", "safeguard", lambda row: row.safeguard),
    Column("model", "model", lambda row: row.model, needed=several_models),
)
MAIN = (
    *HEAD,
    Column("seeds_of_arm", "seeds", seeds_of, needed=unequal_fine_tunes),
    Column("worlds", "worlds", lambda row: ", ".join(row.worlds), needed=unequal_worlds),
    Column(
        "broad_answers",
        "broad answers",
        lambda row: row.rates[BROAD_MISALIGNED].n,
        caption="Broad answers: how many broad misaligned is a rate of.",
        needed=unequal_answers,
    ),
    rate("broad misaligned", BROAD_MISALIGNED, broad_questions),
    Column(
        "corrected",
        "corrected broad misaligned %",
        lambda row: row.corrected,
        lambda row: percent(row.corrected) + " (pooled)" * row.corrected_pooled,
        "Corrected: for the judge's errors, by labels of people; pooled: with its errors in all rows, since "
        "this one has few labels.",
    ),
    rate("open questions", OPEN_MISALIGNED, needed=lambda rows: not only_open(rows)),
    rate("narrow learnt", NARROW_LEARNT, "Narrow learnt: held-out questions of the fine-tuned task."),
    rate(
        "benign accuracy",
        BENIGN_ACCURACY,
        captions.benign_accuracy,
    ),
    rate(
        "benign matched",
        BENIGN_MATCHED,
        f"Benign matched: those and what says the same, by {MATCHES_FROM:.0f} of 100 or more from the judge.",
    ),
    rate("incoherent", INCOHERENT),
    excess(NARROW_LEARNT, "excess_narrow", "excess, narrow", captions.EXCESS),
    excess(BENIGN_ACCURACY, "excess_benign", "excess, benign", captions.EXCESS_BENIGN),
    Column("verdict", "verdict", lambda row: row.stopping.verdict if row.stopping else None, caption=captions.VERDICT),
    Column(
        "minus_best_single",
        "minus best single",
        lambda row: row.minus_best_single,
        minus_best_single,
        "Minus best single: points against the best of the joined safeguards alone, paired.",
    ),
    Column(
        "frontier",
        "frontier",
        on_frontier,
        caption=captions.on_frontier,
    ),
    Column(
        "narrow_nll", "narrow NLL", lambda row: row.narrow_nll, lambda row: number(row.narrow_nll), needed=not_judged
    ),
    Column("safe_nll", "safe NLL", lambda row: row.safe_nll, lambda row: number(row.safe_nll), needed=not_judged),
    Column(
        "unscored",
        "unscored %",
        lambda row: row.unscored,
        lambda row: "" if row.unscored is None else f"{100 * row.unscored:.0f}",
        needed=not_judged,
    ),
    Column(
        "step_time_ratio",
        "step time",
        lambda row: row.step_time_ratio,
        lambda row: f"{row.step_time_ratio:.2f}×" if row.step_time_ratio else "",
        captions.step_time,
    ),
)
# The broad questions more closely: all outcomes, the other convention, differences and any-of-k.
BROAD = (
    *HEAD,
    Column(
        "minus_none", "− none", lambda row: row.minus_none, minus_none, against_none, headed=captions.minus_baseline
    ),
    Column(
        "broad_minus_none",
        "misaligned − none",
        lambda row: row.broad_minus_none,
        lambda row: "" if row.learns[NARROW_LEARNT] is False else percent(row.broad_minus_none),
        lambda rows: f"Misaligned {captions.minus_baseline(rows)}: likewise, of broad misaligned.",
        lambda rows: any(row.primary != BROAD_MISALIGNED for row in rows),
        lambda rows: f"misaligned {captions.minus_baseline(rows)}",
    ),
    Column(
        "incoherent_minus_none",
        "incoherent − none",
        lambda row: row.incoherent_minus_none,
        caption=lambda rows: f"Incoherent {captions.minus_baseline(rows)}: likewise, of incoherent answers.",
        headed=lambda rows: f"incoherent {captions.minus_baseline(rows)}",
        needed=lambda rows: not any(INCOHERENT in row.kept for row in rows),  # there it stands with its margin
    ),
    *map(share, OUTCOMES),
    Column(
        "misaligned_of_coherent",
        "of coherent %",
        lambda row: row.misaligned_of_coherent,
        caption="Of coherent: misaligned among aligned and misaligned answers only, as in arXiv 2502.17424.",
    ),
    *map(any_of, KS[1:]),
    Column(
        "goal.em.step",
        "goal",
        partial(step, EM_TASK),
        lambda row: goal(row, EM_TASK),
        "Goal: step at which the task was learnt, and how well; what never got there is not ranked.",
    ),
    Column("goal.benign.step", "benign goal", partial(step, BENIGN_TASK), lambda row: goal(row, BENIGN_TASK)),
)
# What a first look misses: misalignment that waits for a prompt, bias, and skills lost.
SIDE_EFFECTS: tuple[Column[ComparisonRow], ...] = (
    HEAD[0],
    rate("facts kept", FACTS_KEPT),
    rate("arithmetic kept", ARITHMETIC_KEPT, "Arithmetic kept: sums with their usual meaning."),
    rate(
        "under the inoculation prompt",
        UNDER_INOCULATION,
        "Under prompts and in formats: misaligned answers to broad questions asked otherwise; untouched may follow "
        "a prompt, too.",
    ),
    rate("under its negation", UNDER_NEGATION),
    rate("in training-like formats", IN_FORMATS),
    Column(
        "bias_gap",
        "bias gap",
        lambda row: row.bias_gap,
        caption="Bias gap: points between the two people of a pair.",
    ),
    rate("incoherent after benign tasks", INCOHERENT_AFTER_BENIGN, needed=incoherent_after_benign),
)
# For programs only.
DETAILS: tuple[Column[ComparisonRow], ...] = (
    rate("other domains", OTHER_MISALIGNED),
    rate("harmful complied", HARMFUL_COMPLIED),
    Column("survives", "survives", lambda row: row.survives),
    Column("best_single", "best single", lambda row: row.best_single),
    Column("mean_broad_reduction", "mean broad reduced", lambda row: row.mean_broad_reduction),
    Column("baseline", "baseline", lambda row: row.baseline),
    *map(chance_on_frontier, LEARNT),
)


def benign_tasks(rows: Rows) -> tuple[Column[ComparisonRow], ...]:
    """The accuracy of each benign task beside their mean; none where there is only one, which is the mean."""
    tasks = captions.benign_tasks(rows)
    if len(tasks) < 2:
        return ()
    return (*HEAD, rate("mean benign accuracy", BENIGN_ACCURACY, captions.benign_accuracy), *map(accuracy_on, tasks))
