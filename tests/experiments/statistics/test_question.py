"""The rate of one question: against Jeffreys' formula, and simulations with a known rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from experiments.statistics.estimates import NOTHING
from experiments.statistics.question import question_rate


def test_one_fine_tune_has_the_interval_of_jeffreys():
    assert question_rate([7], [30])[:3] == pytest.approx((7 / 30, *stats.beta(7.5, 23.5).ppf([0.025, 0.975])))
    assert question_rate([0], [8]).low == 0
    assert question_rate([8], [8]).high == 1


def test_fine_tunes_that_were_not_asked_do_not_count():
    assert question_rate([3, 0, 5], [10, 0, 10]) == question_rate([5, 3], [10, 10])
    assert question_rate([0], [0]) == question_rate([], []) == NOTHING


def test_fine_tunes_that_differ_widen_the_interval():
    alike, apart = question_rate([20, 20, 20], [100] * 3), question_rate([5, 10, 45], [100] * 3)
    assert apart.mean == alike.mean
    assert apart.high - apart.low > 2 * (alike.high - alike.low)


def test_nothing_in_many_answers_is_surer_than_in_a_few():
    assert question_rate([0, 0, 0], [8] * 3).high > 0.05
    assert question_rate([0, 0, 0], [300] * 3).high < 0.01


@pytest.mark.parametrize(("rate", "answers", "seeds"), [(0.01, 8, 3), (0.05, 100, 3), (0.3, 100, 5), (0.3, 8, 3)])
def test_the_interval_covers_the_rate_of_all_fine_tunes(rate, answers, seeds):
    rng = np.random.default_rng(0)
    logits = special.logit(rate) + 0.4 * rng.normal(size=(300, seeds))
    truth = special.expit(special.logit(rate) + 0.4 * rng.normal(size=100_000)).mean()
    found = [question_rate(hits, [answers] * seeds) for hits in rng.binomial(answers, special.expit(logits))]
    assert np.mean([estimate.low <= truth <= estimate.high for estimate in found]) > 0.92
