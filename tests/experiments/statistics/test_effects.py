"""Effects of parts: right where they are known, with intervals that hold them, and nothing where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.statistics.effects import linear_effects, unbeaten


def test_effects_of_two_parts_by_hand():
    parts = np.array([[0, 0], [1, 0], [0, 1], [1, 1]] * 10, float)
    found = linear_effects(parts, 0.5 + parts @ np.array([-0.3, 0.1]))
    assert [each.mean for each in found] == pytest.approx([-0.3, 0.1], abs=1e-3)
    assert [each.n for each in found] == [20, 20]


@pytest.mark.parametrize("trials", [12, 40])
@pytest.mark.parametrize("noise", [2.0, 10.0])
def test_intervals_hold_the_truth_about_95_times_in_100(trials, noise):
    rng = np.random.default_rng(0)
    truth = np.array([-30, -15, -5, 0, 0, 5])
    held = []
    for _ in range(200):
        parts = (rng.random((trials, len(truth))) < 0.3).astype(float)
        values = 50 + parts @ truth + rng.normal(0, noise, trials)
        found = linear_effects(parts, values)
        held += [each.low <= is_ <= each.high for each, is_ in zip(found, truth, strict=True) if each.mean is not None]
    assert 0.85 < np.mean(held) <= 1.0


def test_parts_that_always_come_together_share_what_they_do_and_are_not_known_apart():
    rng = np.random.default_rng(0)
    both = (rng.random(40) < 0.5).astype(float)
    one, other = linear_effects(np.column_stack([both, both]), -0.4 * both + rng.normal(0, 0.02, 40))
    assert one.mean == pytest.approx(other.mean)
    assert one.mean + other.mean == pytest.approx(-0.4, abs=0.05)
    assert one.high - one.low > 0.3


def test_nothing_is_said_of_two_trials_or_of_numbers_that_are_all_the_same():
    assert linear_effects(np.eye(2), np.array([0.1, 0.2]))[0].mean is None
    assert linear_effects(np.eye(4), np.full(4, 0.3))[0].mean is None
    assert linear_effects(np.zeros((0, 2)), np.zeros(0))[0].mean is None


def test_a_part_that_no_trial_has_has_no_effect():
    assert linear_effects(np.zeros((5, 1)), np.arange(5.0))[0] == (None, None, None, 0)


def test_unbeaten_rows_are_those_that_no_other_is_as_good_as_everywhere():
    assert unbeaten([[1, 2], [2, 1], [2, 2], [1, 2]]) == [True, True, False, True]
    assert unbeaten([]) == []
