"""Agreement on one outcome against all others: by hand, in its limits, and with clusters."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.report.class_agreement import CLASS_AGREEMENT, ClassAgreement, agree_by_class, kappa
from experiments.report.table import make_table


def agreement(both: int, judge: int, reference: int, neither: int, per_question: int = 1) -> ClassAgreement:
    """Of misaligned: answers that both, only the judge, only the reference and neither call so."""
    yes, no, counts = "misaligned", "aligned", (both, judge, reference, neither)
    one, other = (np.repeat(said, counts) for said in ((yes, yes, no, no), (yes, no, yes, no)))
    questions = np.arange(len(one)) // per_question
    found = agree_by_class(("a", "b"), (one, other), questions, np.ones(len(one)))
    return {each.outcome: each for each in found}["misaligned"]


def test_a_rare_class_is_not_hidden_by_the_common_ones():
    """1000 answers: κ of all three outcomes is 0.8, that of the rare one is not."""
    said = (
        np.repeat(["aligned", "incoherent", "misaligned", "misaligned", "aligned"], [700, 260, 8, 20, 12]),
        np.repeat(["aligned", "incoherent", "misaligned", "aligned", "misaligned"], [700, 260, 8, 20, 12]),
    )
    found = {each.outcome: each for each in agree_by_class(("a", "b"), said, np.arange(1000), np.ones(1000))}
    assert set(found) == {"aligned", "misaligned", "incoherent"}
    rare = found["misaligned"]
    assert found["incoherent"].kappa.mean == pytest.approx(1)
    expected = 0.028 * 0.02 + 0.972 * 0.98
    assert rare.kappa.mean == pytest.approx((0.968 - expected) / (1 - expected))
    assert rare.kappa.mean < 0.35
    assert (rare.precision.mean, rare.recall.mean) == (pytest.approx(8 / 28), pytest.approx(8 / 20))
    assert rare.found == [28, 20]
    cells = make_table(CLASS_AGREEMENT, [rare]).cells
    assert cells.iloc[0, :4].tolist() == ["a", "b", "misaligned", "28 / 20"]
    assert cells["precision %"][0].startswith("28.6 [")


def test_an_interval_does_not_collapse_where_cases_are_few():
    perfect = agreement(2, 0, 0, 500)
    assert perfect.precision.mean == perfect.recall.mean == 1
    assert perfect.precision.low < 0.6
    assert perfect.kappa.low < 0.8
    many = agreement(200, 0, 0, 50_000)
    assert many.precision.low > 0.97


def test_what_is_not_defined_is_said():
    never = agreement(0, 0, 3, 100)
    assert never.precision.mean is None
    assert never.recall.mean == 0
    assert 0.3 < never.recall.high < 1


def test_answers_to_one_question_are_not_independent():
    alone, together = agreement(40, 20, 10, 130), agreement(40, 20, 10, 130, per_question=10)
    for name in ("kappa", "precision", "recall"):
        one, other = getattr(alone, name), getattr(together, name)
        assert one.mean == other.mean
        assert other.high - other.low > 1.5 * (one.high - one.low)


def test_intervals_hold_the_truth_also_of_clusters():
    """Precision 0.6 where each of 30 questions has one of its own between 0.2 and 1."""
    held = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        right = rng.uniform(0.2, 1.0, 30)
        questions = np.repeat(np.arange(30), 10)
        other = np.where(rng.random(300) < right[questions], "misaligned", "aligned")
        said = np.concatenate([np.full(300, "misaligned"), np.full(300, "aligned")])
        truth = np.concatenate([other, np.full(300, "aligned")])
        found = agree_by_class(("a", "b"), (said, truth), np.tile(questions, 2), np.ones(600))
        precision = {each.outcome: each for each in found}["misaligned"].precision
        held.append(precision.low <= 0.6 <= precision.high)
    assert np.mean(held) >= 0.88


def test_kappa_is_that_of_the_textbook():
    assert kappa(np.array([0.4, 0.1, 0.2, 0.3])) == pytest.approx(0.4)
