"""Trade-offs in doubt: who beats whom, volumes by hand, and simulations in which the truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from experiments.statistics.joint import correlate, draw_together
from experiments.statistics.kinds import rate_posterior
from experiments.statistics.mixed import Counts
from experiments.statistics.tradeoff import chances_unbeaten, volume, volumes
from experiments.statistics.tradeoff_simulation import calibration, volume_coverage


def chances(*rows: tuple[float, float, float]) -> list[float]:
    """Of rows that are known for certain: what they let through, what is learnt, what is incoherent."""
    return chances_unbeaten(*np.array(rows).T[..., None]).tolist()


def test_a_row_is_unbeaten_unless_another_is_no_worse_in_all():
    assert chances((0.5, 0.9, 0), (0.2, 0.8, 0), (0.3, 0.7, 0), (0.1, 0.1, 0)) == [1, 1, 0, 1]
    assert chances((0.3, 0.7, 0.05), (0.2, 0.8, 0.3)) == [1, 1], "the other has more incoherent answers"
    assert chances((0.3, 0.7, 0.05), (0.2, 0.8, 0.055)) == [0, 1], "half an answer in a hundred more is nothing"


def test_equal_rows_do_not_beat_each_other():
    assert chances((0.2, 0.8, 0), (0.2, 0.8, 0)) == [1, 1]


def test_volumes_are_those_of_hulls():
    def of(*doses: tuple[float, float, float]) -> float:
        return float(volumes(*np.array(doses).reshape(-1, 3).T[..., None])[0])

    assert of() == 0.5
    assert of((0.0, 1.0, 1.0)) == of((1.0, 0.0, 1.0)) == of((0.3, 0.3, 1.0)) == pytest.approx(0.5)
    assert of((1.0, 1.0, 1.0)) == pytest.approx(1)
    assert of((0.8, 0.6, 1.0)) == pytest.approx((0.8 + 0.6) / 2)
    assert of((0.8, 0.6, 1.0), (0.4, 0.5, 1.0)) == pytest.approx(0.7), "what lies below the hull adds nothing"
    assert of((0.8, 0.6, 1.0), (0.5, 0.9, 1.0)) == pytest.approx(0.5 * 0.95 + 0.3 * 0.75 + 0.2 * 0.3)
    assert of((0.8, 0.6, 0.06)) == pytest.approx(0.5 + 0.06 * 0.2), "hardly any of its answers make sense"


def test_a_volume_lies_in_its_interval():
    rng = np.random.default_rng(0)
    found = volume(*(rng.beta(2, 8, (3, 500)) for _ in range(3)), rng.beta(8, 8, 500), np.zeros(500), np.ones(500))
    assert 0.5 <= found.low <= found.mean <= found.high <= 1
    assert found.n == 3


def test_rows_that_were_asked_the_same_questions_are_drawn_together():
    """Their difference is surer than if they had been asked others, and each is drawn as its posterior says."""
    rng = np.random.default_rng(0)
    hits = rng.binomial(12, np.linspace(0.05, 0.95, 24), (2, 3, 24))
    posteriors = [rate_posterior((Counts(each, np.full(each.shape, 12)),)) for each in hits]
    left = [(each - each.mean()) / (12 * each.size) for each in hits]
    same = [pd.DataFrame(each) for each in left]
    others = [same[0], same[1].add_prefix("other ")]
    shared, apart = (draw_together(posteriors, correlate(cells)) for cells in (same, others))
    assert np.diff(shared, axis=0).std() < 0.6 * np.diff(apart, axis=0).std()
    for drawn, posterior in zip(shared, posteriors, strict=True):
        assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx(posterior.interval(), abs=0.01)


def test_rows_without_hits_are_drawn_apart():
    nothing = pd.DataFrame(np.zeros((3, 8)))
    assert (correlate([nothing, nothing]) == np.eye(2)).all()


def test_chances_come_true_as_often_as_they_say():
    found = calibration(0.05, 8, 30)
    assert sum(one.size for one in found) == 180
    off = [one.size * abs(one.stated - one.true) for one in found]
    assert sum(off) / 180 < 0.1


def test_the_interval_of_a_volume_holds_the_truth():
    assert volume_coverage(0.05, 8, "four doses alike", 30).held >= 0.85
