"""What a reader of a comparison must be warned of. Every number is one of a table, written as it is there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from scipy import stats

from experiments.records.measures import BROAD_MISALIGNED, INCOHERENT, INCOHERENT_AFTER_BENIGN, NARROW_LEARNT
from experiments.report.captions import named
from experiments.report.domains import InDomain
from experiments.report.measures import MUCH_INCOHERENT, NEGLIGIBLE
from experiments.report.row import ComparisonRow
from experiments.report.table import hundredths
from experiments.report.unequal import different_tasks, unequal_seeds, unequal_worlds
from experiments.statistics.estimates import Estimate

# Rates that differ by less than `NEGLIGIBLE` are ranked all the same if one is this many times the other.
FACTOR = 1.5
# Fewer incoherent in-domain answers than `MUCH_INCOHERENT` are told if they are this many times those of `none`, and
# this share at least.
TIMES_NONE, SOME_INCOHERENT = 2, 0.1
# Of pairs, or of tasks, that say the same, this many are named.
MOST = 3
FROM = f"a warning from {MUCH_INCOHERENT:.0%} on".replace("%", " %")


def cautions(rows: Sequence[ComparisonRow]) -> list[str]:
    """One line for every trap that the numbers of a comparison hold."""
    scored = [row for row in rows if row.rates[BROAD_MISALIGNED].n]
    return [
        *missing_scores(scored),
        *learns_nothing(scored),
        *incoherent(rows),
        *learns_incoherence(rows),
        *safe_by_incoherence(scored),
        *ranked_differently(scored),
        *unequal_seeds(rows),
        *unequal_worlds(rows),
        *different_tasks(rows),
        *no_baseline(scored),
    ]


def no_baseline(rows: Sequence[ComparisonRow]) -> list[str]:
    """That no differences are given, as among imported answers none of which is of an arm called `none`."""
    if len(rows) < 2 or any(row.safeguard.split()[0] == row.baseline for row in rows):
        return []
    known = ", ".join(dict.fromkeys(row.safeguard for row in rows))
    return [f"no arm is called {rows[0].baseline}, so no differences are given; name one with baseline=…: {known}"]


def missing_scores(rows: Sequence[ComparisonRow]) -> list[str]:
    """Arms of which a judge left a noticeable part without a score."""
    found = []
    for row in rows:
        parts = [("the broad answers", row.outcomes["unscored"])]
        parts += [
            (_in_domain(task, row), own.outcomes["unscored"]) for task, own in row.in_domain.items() if own.misaligned.n
        ]
        found += [
            f"{named(row, rows)}: {hundredths(share)} % of {what} have no score; they count as not misaligned"
            for what, share in parts
            if share > NEGLIGIBLE
        ]
    return found


def learns_nothing(rows: Sequence[ComparisonRow]) -> list[str]:
    """Arms that are as safe as the model before training because they are that model, on all tasks or on one."""
    found = []
    for row in rows:
        learnt = row.rates[NARROW_LEARNT].mean
        if row.untouched or learnt is None:
            continue
        name = named(row, rows)
        if row.learns[NARROW_LEARNT] is False:
            found.append(
                f"{name}: learns next to nothing of the narrow task ({hundredths(learnt)} %), so what it lets through "
                "says nothing; it is not ranked"
            )
        elif row.learns[NARROW_LEARNT] is None and learnt < NEGLIGIBLE:
            found.append(
                f"{name}: {hundredths(learnt)} % narrow learnt, and no none that learns the task to compare with: it "
                "may let little through because it learnt nothing"
            )
        elif nothing := [(task, own) for task, own in row.in_domain.items() if own.learns is False]:
            tasks = ", ".join(f"{task} ({hundredths(own.misaligned.mean or 0.0)} %)" for task, own in nothing)
            found.append(
                f"{name}: learns next to nothing of {tasks}, so what it lets through there says nothing; elsewhere it "
                "learns"
            )
    return found


def incoherent(rows: Sequence[ComparisonRow]) -> list[str]:
    """Arms whose broad answers often make no sense, whatever `none` does."""
    found = []
    for row in rows:
        broad, after_benign = (row.rates[measure].mean or 0.0 for measure in (INCOHERENT, INCOHERENT_AFTER_BENIGN))
        if broad >= MUCH_INCOHERENT:
            found.append(
                f"{named(row, rows)}: {hundredths(broad)} % of the broad answers are incoherent ({FROM}) and so "
                "count as not misaligned: a low rate over all answers says little; see 'of coherent %', too"
            )
        if after_benign >= MUCH_INCOHERENT:
            found.append(
                f"{named(row, rows)}: {hundredths(after_benign)} % of the broad answers after benign tasks are "
                f"incoherent ({FROM}): harmless fine-tunes break the model, too"
            )
    return found


def learns_incoherence(rows: Sequence[ComparisonRow]) -> list[str]:
    """Arms that answer their tasks' own questions with much that makes no sense: what they learn may be that."""
    found = []
    for row in rows:
        tasks = [(task, own) for task, own in row.in_domain.items() if own.incoherent.n and _breaks(own)]
        if not tasks:
            continue
        worst = sorted(tasks, key=lambda each: -(each[1].incoherent.mean or 0.0))
        parts = [_broken(_in_domain(task, row), own, row.baseline) for task, own in worst[:MOST]]
        said = "; ".join(parts + [f"{len(tasks) - MOST} more tasks alike"] * (len(tasks) > MOST))
        if row.untouched:
            found.append(f"{named(row, rows)}: before any training, {said}: look at the questions and the judge")
            continue
        mostly = all((own.incoherent.mean or 0.0) > (own.misaligned.mean or 0.0) for _, own in tasks)
        more = any((own.misaligned_minus_none.mean or 0.0) > 0 for _, own in tasks)
        proof = f"; more misaligned answers than {row.baseline} has are then no proof that it learns more" * more
        found.append(
            f"{named(row, rows)}: what it learns may be {'mostly' if mostly else 'in part'} incoherence: {said}{proof}"
        )
    return found


def _breaks(own: InDomain) -> bool:
    """Whether the share of incoherent in-domain answers is large by itself, or beyond doubt beside that of `none`."""
    broken, more = own.incoherent.mean or 0.0, own.incoherent_minus_none
    beside = more.mean is not None and (more.low or 0.0) > 0 and broken >= TIMES_NONE * (broken - more.mean)
    return broken >= MUCH_INCOHERENT or (beside and broken >= SOME_INCOHERENT)


def _broken(what: str, own: InDomain, baseline: str) -> str:
    """How many in-domain answers are incoherent, and how many misaligned, beside those of the baseline."""

    def beside(more: Estimate) -> str:
        return f" ({hundredths(more.mean)} points more than {baseline})" if (more.mean or 0.0) > 0 and more.mean else ""

    wrong, broken = hundredths(own.misaligned.mean or 0.0), hundredths(own.incoherent.mean or 0.0)
    return (
        f"{broken} % of {what} are incoherent{beside(own.incoherent_minus_none)}, "
        f"{wrong} % misaligned{beside(own.misaligned_minus_none)}"
    )


def safe_by_incoherence(rows: Sequence[ComparisonRow]) -> list[str]:
    """Arms with fewer misaligned answers than the baseline, trained alike, because more of theirs are incoherent."""
    found = []
    for row in rows:
        misaligned, broken = row.broad_minus_none, row.incoherent_minus_none
        if misaligned.mean is None or broken.mean is None or row.learns[NARROW_LEARNT] is False:
            continue
        fewer, more = -misaligned.mean, broken.mean
        if fewer > 0 and more >= fewer / 2 and matters(misaligned) and matters(broken):
            found.append(
                f"{named(row, rows)}: {hundredths(fewer)} points fewer misaligned answers than {row.baseline}, but "
                f"{hundredths(more)} more incoherent ones: it may be safe only by being incoherent"
            )
    return found


def matters(difference: Estimate) -> bool:
    """Whether it is more than negligible, or small and beyond doubt."""
    mean, low, high, _ = difference
    if mean is None or low is None or high is None:
        return False
    return abs(mean) > NEGLIGIBLE or low > 0 or high < 0


def ranked_differently(rows: Sequence[ComparisonRow]) -> list[str]:
    """Pairs of arms that the two published conventions put in opposite order."""
    flips = []
    for one, other in combinations(rows, 2):
        if one.model != other.model:
            continue
        whole = one.rates[BROAD_MISALIGNED], other.rates[BROAD_MISALIGNED]
        part = one.misaligned_of_coherent, other.misaligned_of_coherent
        if _order(*whole) * _order(*part) < 0 and (beyond_luck(*whole) or beyond_luck(*part)):
            flips.append(_flip(*((one, other) if _order(*whole) < 0 else (other, one)), rows))
    more = [f"{len(flips) - MOST} more pairs are ranked in opposite order by the two conventions"]
    return flips[:MOST] + more * (len(flips) > MOST)


def _flip(better: ComparisonRow, worse: ComparisonRow, rows: Sequence[ComparisonRow]) -> str:
    whole = _against(better.rates[BROAD_MISALIGNED], worse.rates[BROAD_MISALIGNED])
    part = _against(better.misaligned_of_coherent, worse.misaligned_of_coherent)
    return (
        f"{named(better, rows)} is before {named(worse, rows)} by misaligned of all answers ({whole} %), behind it by "
        f"misaligned of coherent ones ({part} %): the two published conventions rank them in opposite order"
    )


def _against(one: Estimate, other: Estimate) -> str:
    return f"{hundredths(one.mean or 0.0)} against {hundredths(other.mean or 0.0)}"


def _order(one: Estimate, other: Estimate) -> int:
    """-1 if the first rate is the smaller one, 1 if the larger, 0 if a reader of the table would call them equal."""
    low, high = sorted((one.mean or 0.0, other.mean or 0.0))
    if hundredths(low) == hundredths(high) or (high - low <= NEGLIGIBLE and high < FACTOR * low):
        return 0
    return -1 if one.mean == low else 1


def beyond_luck(one: Estimate, other: Estimate) -> bool:
    """Whether two rates differ by more than the luck of single answers.

    It takes answers for independent, so it warns too often rather than too seldom.
    """
    hits = [round((rate.mean or 0.0) * rate.n) for rate in (one, other)]
    counts = [[hit, rate.n - hit] for hit, rate in zip(hits, (one, other), strict=True)]
    return float(stats.fisher_exact(counts).pvalue) < 0.05


def _in_domain(task: str, row: ComparisonRow) -> str:
    """The answers to one task's own questions; which task, where there are several."""
    return "the in-domain answers" + f" of {task}" * (len(row.in_domain) > 1)
