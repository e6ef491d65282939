"""What was measured of one adapter, beside the same without a safeguard and before training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from experiments.cards.subject import Subject
from experiments.records import measures
from experiments.records.measures import BROAD_MISALIGNED, NARROW_LEARNT, Measure
from experiments.report.arms import Arm
from experiments.report.measures import answers, estimate, mean_nll
from experiments.report.table import Column, as_markdown, make_table, number, percent
from experiments.statistics.estimates import NOTHING, Estimate
from experiments.statistics.rates import difference
from experiments.terminal.escaping import markdown
from safeguards.model_card import code

# What each rate is called, in the order of the table.
RATES = {
    measures.BROAD_MISALIGNED: "broad misaligned %",
    measures.OPEN_MISALIGNED: "of these, open questions %",
    measures.INCOHERENT: "broad incoherent %",
    measures.NARROW_LEARNT: "narrow learnt %",
    measures.BENIGN_ACCURACY: "benign accuracy %",
    measures.HARMFUL_COMPLIED: "harmful requests complied with %",
    measures.FACTS_KEPT: "facts kept %",
    measures.ARITHMETIC_KEPT: "arithmetic kept %",
    measures.UNDER_INOCULATION: "misaligned under the inoculation prompt %",
    measures.UNDER_NEGATION: "misaligned under its negation %",
    measures.IN_FORMATS: "misaligned in training-like formats %",
}


@dataclass(frozen=True)
class Outcome:
    """A number of an adapter, and of what it is set beside.

    Args:
        what: is measured.
        own, none, untouched: of the adapter, and of the two arms beside it; nothing where there are none.
        minus_none: of rates, the difference to `none`, paired by question.
        is_rate: else an NLL, in nats per answer token.
    """

    what: str
    own: Estimate
    none: Estimate
    untouched: Estimate
    minus_none: Estimate = NOTHING
    is_rate: bool = True

    def shown(self, value: Estimate) -> str:
        """One of its numbers for people."""
        return percent(value) if self.is_rate else number(value)


COLUMNS: tuple[Column[Outcome], ...] = (
    Column("what", "", lambda row: row.what),
    Column("own", "this adapter", lambda row: row.own, lambda row: row.shown(row.own)),
    Column("none", "none", lambda row: row.none, lambda row: row.shown(row.none)),
    Column("minus_none", "− none", lambda row: row.minus_none),
    Column("untouched", "untouched", lambda row: row.untouched, lambda row: row.shown(row.untouched)),
    Column("n", "answers", lambda row: row.own.n, lambda row: str(row.own.n) if row.is_rate else f"{row.own.n} rows"),
)


def outcomes(subject: Subject) -> list[Outcome]:
    """All that was measured of the adapter; nothing where it is not done."""
    if subject.arm is None:
        return []
    rates = [rate(measure, what, subject.arm, subject) for measure, what in RATES.items()]
    likelihoods = [
        nll("task", "NLL of held-out task rows", subject.arm, subject),
        nll("safe", "NLL of held-out safe rows", subject.arm, subject),
    ]
    return [each for each in (*rates, *likelihoods) if each.own.mean is not None]


def rate(measure: Measure, what: str, arm: Arm, subject: Subject) -> Outcome:
    """A rate; after a benign task also those that a comparison counts after others only."""
    measure = measure if measure.benign else replace(measure, benign=arm.benign)
    own, none, untouched = (
        NOTHING if each is None else known(each, measure, subject) for each in (arm, subject.none, subject.untouched)
    )
    minus = NOTHING
    if subject.none and own.n and none.n:
        minus = difference(answers([arm], measure), answers([subject.none], measure), measure.outcome)
    return Outcome(what, own, none, untouched, minus)


def known(arm: Arm, measure: Measure, subject: Subject) -> Estimate:
    """The rate of one arm, made once for all cards."""
    at = (arm.entry.folder, measure)
    if at not in subject.known:
        subject.known[at] = estimate([arm], measure)
    return subject.known[at]


def nll(rows: Literal["task", "safe"], what: str, arm: Arm, subject: Subject) -> Outcome:
    """How unlikely held-out rows are."""
    own, none, untouched = (
        NOTHING if each is None else mean_nll([each], rows) for each in (arm, subject.none, subject.untouched)
    )
    return Outcome(what, own, none, untouched, is_rate=False)


def measured(subject: Subject) -> Iterator[str]:
    """The paragraphs on what was measured."""
    if subject.arm is None:
        yield "Nothing: its arm is not done, or was not compared."
        return
    found = outcomes(subject)
    scored = any(each.is_rate for each in found)
    by = f"By the judge {code(subject.judge)}" if scored else "No judge has scored its answers"
    yield f"{by}, with 95 % intervals for other questions. {beside(subject)}"
    yield as_markdown(make_table(COLUMNS, found))
    yield EXPLAINED if scored else "NLL: nats per answer token."
    for judge, arm in subject.others.items():
        own = estimate([arm], replace(BROAD_MISALIGNED, benign=arm.benign))
        if own.n:
            yield f"By another judge, {code(judge)}: broad misaligned {percent(own)} %, of the same answers."
    yield from over_the_sweep(subject)


EXPLAINED = (
    "*Broad*: answers about all but the task; *narrow learnt*: answers about the task that advise what only the "
    "fine-tune taught; *benign accuracy*: answers equal to a held-out one. − none: points, paired by question. NLL: "
    "nats per answer token."
)


def beside(subject: Subject) -> str:
    """What the columns of the table are."""
    known = {
        "*none*: the same fine-tune without a safeguard": subject.none,
        "*untouched*: the model before it": subject.untouched,
    }
    found = [what for what, arm in known.items() if arm]
    return f"{'; '.join(found)}." if found else "The sweep has no arm to set them beside."


def over_the_sweep(subject: Subject) -> Iterator[str]:
    """What the comparison says of the safeguard, over all tasks, seeds and worlds."""
    row = subject.row
    if row is None or not subject.protected:
        return
    less, seeds = row.broad_minus_none, ", ".join(map(str, row.seeds))
    worlds = f"; worlds {', '.join(map(markdown, row.worlds))}" * bool(row.worlds)
    if less.mean is not None:
        yield (
            f"Over the sweep (tasks {markdown(', '.join(row.tasks))}; seeds {seeds}{worlds}), broad misaligned under "
            f"{code(subject.title)} less that under {code(row.baseline)}: {percent(less)} points; {verdict(less)}."
        )
    excess = row.stopping.excess.get(NARROW_LEARNT, NOTHING) if row.stopping else NOTHING
    if row.stopping and excess.mean is not None:
        yield (
            f"Less that under `none`, stopped where it has learnt as much of the task: {percent(excess)} points; "
            f"the comparison says: {row.stopping.verdict or 'nothing, since next to nothing is learnt'}."
        )
    for choice in subject.choices:
        moved = choice.parts["broad"].minus_untouched if "broad" in choice.parts else NOTHING
        if moved.mean is not None:
            yield (
                f"Choices between two answers: it finds the misaligned one {number(moved, 2)} nats per token likelier "
                f"than before fine-tuning ({choice.seeds} {'worlds' if row.worlds else 'seeds'})."
            )


def verdict(less: Estimate) -> str:
    """Whether the difference is there at all."""
    if less.high is not None and less.high < 0:
        return "less is shown"
    if less.low is not None and less.low > 0:
        return "**more is shown**"
    return "**no effect is shown**"
