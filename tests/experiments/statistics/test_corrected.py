"""Rates corrected by labels: that they hold the truth where the judge's own do not, by simulation and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.statistics.corrected import Verdicts, corrected_rates
from experiments.statistics.kinds import rate_posterior
from experiments.statistics.label_simulation import Noise, corrected_coverage, judge_and_label, uncorrected_coverage
from experiments.statistics.mixed import Counts
from experiments.statistics.simulation import Design


def verdicts(judged: int, of: int, labelled: list[list[int]], questions: int = 20) -> Verdicts:
    """Three fine-tunes; labels by verdict and truth, spread over the questions like all else."""

    def spread(count: int, places: int) -> np.ndarray:
        return np.diff(np.linspace(0, count, places + 1).round())

    cells = 3 * questions
    counts = Counts(spread(judged, cells).reshape(3, -1), spread(of, cells).reshape(3, -1))
    return Verdicts(counts, np.array([[spread(count, questions) for count in side] for side in labelled]))


@pytest.mark.parametrize(
    ("design", "noise", "labels"),
    [(Design(24, 3, 0.005), Noise(0.05, 0.4), 50), (Design(24, 3, 0.5), Noise(0.005, 0.4), 200)],
)
def test_corrected_intervals_hold_the_truth_and_uncorrected_do_not(design, noise, labels):
    assert uncorrected_coverage(design, noise, labels, 25).held <= 0.3
    found = corrected_coverage(design, noise, labels, 25)
    assert found.held >= 0.84
    assert found.width < 0.5


def test_a_judge_that_never_errs_is_left_as_it_is():
    right = verdicts(120, 1200, [[200, 0], [0, 120]])
    [found] = corrected_rates([right])
    low, high = rate_posterior((right.judged,)).interval()
    assert found.mean == pytest.approx(0.1)
    assert (found.low, found.high) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.02))


def test_the_mean_is_that_of_either_side_by_its_share():
    """A tenth is judged so, of which half is; of the others a hundredth is: 0.1 × 0.5 + 0.9 × 0.01."""
    [found] = corrected_rates([verdicts(120, 1200, [[198, 2], [50, 50]])])
    assert found.mean == pytest.approx(0.059)
    assert found.low < 0.059 < found.high
    assert found.n == 300


def test_nothing_found_by_few_labels_is_not_nothing_for_sure():
    [few] = corrected_rates([verdicts(0, 1200, [[30, 0], [0, 0]])])
    [many] = corrected_rates([verdicts(0, 1200, [[600, 0], [0, 0]])])
    assert few.mean == few.low == many.mean == 0
    assert 0.02 < few.high < 0.25
    assert many.high < few.high / 2


def test_labels_of_few_questions_say_less_than_those_of_many():
    rng = np.random.default_rng(0)
    many = judge_and_label(rng, Counts(np.full((3, 24), 6), np.full((3, 24), 12)), Noise(0.05, 0.1), 200)
    few = Verdicts(Counts(many.judged.hits[:, :4], many.judged.answers[:, :4]), many.labelled[:, :, :4])
    [of_many], [of_few] = corrected_rates([many]), corrected_rates([few])
    assert of_few.high - of_few.low > 1.5 * (of_many.high - of_many.low)


def test_an_arm_without_labels_borrows_the_judges_errors():
    rng = np.random.default_rng(3)
    noise = Noise(0.05, 0.4)
    half = judge_and_label(rng, Counts(np.full((3, 24), 6), np.full((3, 24), 12)), noise, 400)
    tenth = judge_and_label(rng, Counts(np.full((3, 20), 1), np.full((3, 20), 10)), noise, 0)
    borrowed, _ = corrected_rates([tenth, half])
    [alone] = corrected_rates([tenth])
    assert borrowed.low < 0.1 < borrowed.high
    assert borrowed.high - borrowed.low < 0.7 * (alone.high - alone.low)
