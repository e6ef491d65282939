"""How well two judges agree on one outcome against all others: κ of all outcomes hides the rare ones.

Intervals are of a Dirichlet posterior on the four cells of both judges' yes and no, with half an answer beside those
counted (Jeffreys), so none collapses where cases are few. Answers to one question are not independent: for each number
the answers count as so many as would leave as much doubt if they were, by the variance between questions of its first
order (a design effect, as in Kish 1965, Survey Sampling).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.records.outcomes import OUTCOMES
from experiments.report.table import Column, number
from experiments.statistics.estimates import NOTHING, Estimate

DRAWS, STEP = 4000, 1e-6
# Cells: what the judge and the reference say.
BOTH, JUDGE, REFERENCE, NEITHER = range(4)
Cells = np.ndarray  # (4, …): shares


class ClassAgreement(NamedTuple):
    """How well a judge finds an outcome, by another's word.

    Args:
        judge: that is looked at.
        reference: that is taken to be right.
        outcome: against all others.
        found: answers of which each says so, judge and reference.
        kappa: Cohen's, of this outcome against the others.
        precision: of what the judge says to be so, the part of which the reference says so.
        recall: of what the reference says to be so, the part of which the judge says so.
    """

    judge: str
    reference: str
    outcome: str
    found: Sequence[int]
    kappa: Estimate
    precision: Estimate
    recall: Estimate

    def as_json(self) -> dict[str, Any]:
        """As `comparison.json` has it."""
        return {key: each._asdict() if isinstance(each, Estimate) else each for key, each in self._asdict().items()}


def kappa(cells: Cells) -> Cells:
    """Agreement beyond chance."""
    yes, other_yes = cells[BOTH] + cells[JUDGE], cells[BOTH] + cells[REFERENCE]
    expected = yes * other_yes + (1 - yes) * (1 - other_yes)
    return np.asarray((cells[BOTH] + cells[NEITHER] - expected) / (1 - expected))


def precision(cells: Cells) -> Cells:
    """Of what the judge finds."""
    return np.asarray(cells[BOTH] / (cells[BOTH] + cells[JUDGE]))


def recall(cells: Cells) -> Cells:
    """Of what there is by the reference."""
    return np.asarray(cells[BOTH] / (cells[BOTH] + cells[REFERENCE]))


def agree_by_class(
    names: tuple[str, str], said: Sequence[np.ndarray], questions: np.ndarray, weights: np.ndarray
) -> list[ClassAgreement]:
    """One for every outcome that either of two judges gives.

    Args:
        names: of the judge and of the reference.
        said: the outcomes that each gives to the same answers.
        questions: which question each answers.
        weights: how many answers each stands for, where they were drawn.
    """
    found = []
    for outcome in OUTCOMES:
        one, other = (each == outcome for each in said)
        if one.any() or other.any():
            cell = np.select([one & other, one, other], [BOTH, JUDGE, REFERENCE], NEITHER)
            numbers = (estimate(of, cell, questions, weights) for of in (kappa, precision, recall))
            found.append(ClassAgreement(*names, outcome, [int(one.sum()), int(other.sum())], *numbers))
    return found


def estimate(of: Callable[[Cells], Cells], cell: np.ndarray, questions: np.ndarray, weights: np.ndarray) -> Estimate:
    """A number of the four cells with its 95 % interval; nothing where it is not defined."""
    whole = np.bincount(cell, weights, 4)
    shares, prior = whole / whole.sum(), 0.5
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = float(of(shares))
    if not np.isfinite(mean):
        return NOTHING
    smooth = (whole / weights.mean() + prior) / (len(cell) + 4 * prior)
    slopes = np.array([(of(smooth + step) - of(smooth - step)) / (2 * STEP) for step in STEP * np.eye(4)])
    each = weights / weights.sum() * (slopes[cell] - slopes @ shares)
    by_question = np.bincount(np.unique(questions, return_inverse=True)[1], each)
    between = float((by_question**2).sum()) * len(by_question) / max(len(by_question) - 1, 1)
    alone = float((weights / weights.sum()) @ (slopes[cell] - slopes @ shares) ** 2)
    most = len(by_question) if len(by_question) == 1 else len(cell)
    counted = min(max(alone / between, 1.0), most) if between > 0 else most
    draws = np.random.default_rng(0).dirichlet(shares * counted + prior, DRAWS).T
    low, high = np.quantile(of(draws), (0.025, 0.975))
    return Estimate(mean, min(float(low), mean), max(float(high), mean), len(cell))


def _share(estimate: Estimate) -> str:
    return "undefined" if estimate.mean is None else number(estimate)


CLASS_AGREEMENT = (
    Column[ClassAgreement](
        "judge",
        "judge",
        lambda row: row.judge,
        caption="Agreement on each outcome against all others, with 95 % intervals for other questions. Precision: of "
        "what the judge says to be so, the part that the reference says, too; recall: the other way round.",
    ),
    Column[ClassAgreement]("reference", "by", lambda row: row.reference),
    Column[ClassAgreement]("outcome", "outcome", lambda row: row.outcome),
    Column[ClassAgreement]("found", "answers", lambda row: " / ".join(map(str, row.found))),
    Column[ClassAgreement]("kappa", "κ", lambda row: row.kappa, lambda row: _share(row.kappa)),
    Column[ClassAgreement]("precision", "precision %", lambda row: row.precision),
    Column[ClassAgreement]("recall", "recall %", lambda row: row.recall),
)
