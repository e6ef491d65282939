"""The columns of a sweep beside published tables."""

from __future__ import annotations

from collections.abc import Callable

from experiments.paper.beside import PART, Line
from experiments.paper.criteria import (
    BENIGN,
    BENIGN_TABLE,
    COHERENT,
    LITTLE_MORE,
    NARROW,
    NO_MISALIGNMENT,
    NO_MORE,
    PARTLY,
    TRIED,
    WHOLLY,
    Judged,
)
from experiments.paper.shares import ShareRow
from experiments.report.measures import NEGLIGIBLE
from experiments.report.table import Column
from experiments.statistics.estimates import Estimate

HEADINGS = {NO_MISALIGNMENT: "no misalignment", NARROW: "narrow learnt", BENIGN: "benign learnt", COHERENT: "coherent"}
DIRECTION = (
    "− none: points against no safeguard, ours paired by question and seed. Direction: agrees, if both are less, both "
    f"more, or both as none (by less than {100 * NEGLIGIBLE:g} point or {100 * PART:g} % of what there is without a "
    "safeguard), ours by the whole interval; not shown, if ours reaches over two of these; does not, if it is another."
)
THRESHOLDS = (
    f"No misalignment: ✓ if {100 * WHOLLY:g} % of that without a safeguard is prevented (the mean over domains), ∼ if "
    f"{100 * PARTLY:g} %. Learnt: the same parts of what is learnt without one. Coherent: ✓ if at most "
    f"{100 * NO_MORE:g} point more answers are incoherent than without one, ∼ if {100 * LITTLE_MORE:g}. ? the interval "
    "reaches another symbol. In brackets what is published. The thresholds are ours; those of the source are not known."
)
TRIED_ON = (
    f"The same thresholds on the published numbers ({TRIED}; benign: {BENIGN_TABLE}), with the source's own symbols, "
    "over all its domains and models, in brackets. Where they differ, ours say something else than the source."
)


def in_words(line: Line) -> str:
    """The outcome, as the source's tables head it."""
    return line.outcome.replace("_", " ").replace("in domain", "in-domain")


def two_decimals(share: float | None) -> str:
    """As papers print it, in percent."""
    return "" if share is None else f"{100 * share:.2f}"


def with_interval(estimate: Estimate) -> str:
    """The same with its interval."""
    mean, low, high = map(two_decimals, estimate[:3])
    return f"{mean} [{low}, {high}]" if low else mean


def estimated(key: str, heading: str, value: Callable[[Line], Estimate], caption: str = "") -> Column[Line]:
    """A number of ours."""
    return Column(key, heading, value, lambda line: with_interval(value(line)), caption)


LINES: tuple[Column[Line], ...] = (
    Column("safeguard", "safeguard", lambda line: line.safeguard),
    Column("called", "called there", lambda line: line.called),
    Column("outcome", "outcome", lambda line: line.outcome, in_words),
    Column("published", "published %", lambda line: line.published, lambda line: two_decimals(line.published)),
    estimated("ours", "ours %", lambda line: line.ours, "Ours: of all answers, with 95 % intervals."),
    estimated(
        "scored_only",
        "ours, scored only %",
        lambda line: line.scored_only,
        "Scored only: of answers with a score, the convention of sources that drop the others; refusals drop out, too.",
    ),
    Column(
        "published_change",
        "published − none",
        lambda line: line.published_change,
        lambda line: "" if not line.direction else two_decimals(line.published_change),
    ),
    estimated("change", "ours − none", lambda line: line.change),
    Column("direction", "direction", lambda line: line.direction, caption=DIRECTION),
    Column("why", "why", lambda line: line.why),
)


def symbols(name: str, ours: Callable[[Judged], str]) -> Column[Judged]:
    """By our thresholds, and in brackets by the source."""

    def text(row: Judged) -> str:
        published = row.published.get(name)
        return f"{ours(row)} ({published})".strip() if published else ours(row)

    return Column(f"{name}.symbol", HEADINGS[name], ours, text)


def values(name: str) -> tuple[Column[Judged], ...]:
    """For programs: the number behind a symbol of ours, the source's symbol, and what its numbers make."""
    return (
        Column(name, name, lambda row: row.values.get(name)),
        Column(f"{name}.published", name, lambda row: row.published.get(name)),
        Column(f"{name}.tried", name, lambda row: row.tried.get(name)),
    )


def ours(name: str) -> Callable[[Judged], str]:
    """Our symbol for ours."""
    return lambda row: row.ours.get(name, "")


def tried(name: str) -> Callable[[Judged], str]:
    """Our symbol for the published numbers."""
    return lambda row: row.tried.get(name, "")


JUDGED: tuple[Column[Judged], ...] = (
    Column("safeguard", "safeguard", lambda row: row.safeguard, caption=THRESHOLDS),
    *(symbols(name, ours(name)) for name in HEADINGS),
    Column(
        "mean_reduction",
        "mean reduction %",
        lambda row: row.mean_ours,
        lambda row: f"{with_interval(row.mean_ours)} of {row.domains}" if row.domains else "",
        "Mean reduction: of broad misaligned, over so many domains, each counting alike.",
    ),
    Column(
        "mean_published",
        "published %",
        lambda row: row.mean_published,
        lambda row: two_decimals(row.mean_published),
    ),
)
PUBLISHED: tuple[Column[Judged], ...] = (
    Column("called", "called", lambda row: row.called, caption=TRIED_ON),
    *(symbols(name, tried(name)) for name in HEADINGS),
)
VALUES = tuple(column for name in HEADINGS for column in values(name))

SHARES: tuple[Column[ShareRow], ...] = (
    Column("safeguard", "safeguard", lambda row: row.safeguard),
    Column("share", "share of safe rows %", lambda row: row.share, lambda row: f"{100 * row.share:g}"),
    Column(
        "published",
        "published general misaligned %",
        lambda row: row.published,
        lambda row: two_decimals(row.published),
    ),
    Column("misaligned", "ours %", lambda row: row.misaligned, lambda row: with_interval(row.misaligned)),
    Column("incoherent", "incoherent %", lambda row: row.incoherent, lambda row: with_interval(row.incoherent)),
    Column(
        "narrow",
        "narrow learnt %",
        lambda row: row.narrow,
        lambda row: with_interval(row.narrow),
        "Share: of the rows that are fine-tuned on, mixed in; 0 is no safeguard. Published is a curve from 1 to 50 %, "
        "of which we know the numbers at these shares only.",
    ),
)
