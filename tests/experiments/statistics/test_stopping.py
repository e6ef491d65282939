"""Excess over a stopping curve: where it is stopped, what is let through there, and how sure that is."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.statistics.mixed import Counts
from experiments.statistics.stopping import between, excess_at, find_stop, first_place
from experiments.statistics.stopping_simulation import Stopped, excess_coverage


def kinds(*rates: float, seeds: int = 3, questions: int = 8, answers: int = 8) -> tuple[Counts, ...]:
    """The same rate of every question after every fine-tune, of as many kinds."""
    asked = np.full((seeds, questions), float(answers))
    return tuple(Counts(np.round(rate * asked), asked) for rate in rates)


CURVE = [kinds(rate) for rate in (0.0, 0.25, 0.5, 1.0)]


@pytest.mark.parametrize(
    ("rate", "curve", "place", "beyond"),
    [
        (0.3, [0.1, 0.2, 0.4, 0.8], 1.5, False),
        (0.2, [0.1, 0.2, 0.4, 0.8], 1.0, False),
        (0.05, [0.1, 0.2, 0.4, 0.8], 0.0, False),
        (0.8, [0.1, 0.2, 0.4, 0.8], 3.0, False),
        (0.9, [0.1, 0.2, 0.4, 0.8], 3.0, True),
        (0.6, [0.0, 0.7, 0.5, 0.9], 1.0, False),  # 0.7 and 0.5 are 0.6 twice: the first place counts
        (0.6, [0.0, 0.6, 0.6, 0.6], 1.0, False),
        (0.6, [0.0, 0.9, 0.1, 0.2], 3.0, True),  # what falls again was not learnt
    ],
)
def test_the_place_is_the_first_at_which_as_much_is_learnt(rate, curve, place, beyond):
    assert first_place(rate, curve) == (pytest.approx(place), beyond)


def test_between_two_points_answers_are_mixed():
    (mixed,) = between(CURVE, 1.25)
    assert mixed.hits.sum() / mixed.answers.sum() == pytest.approx(0.75 * 0.25 + 0.25 * 0.5)
    assert mixed.answers.sum() == CURVE[0][0].answers.sum()
    assert between(CURVE, 2.0) is CURVE[2]
    assert between(CURVE, 3.0) is CURVE[3]


def test_chances_are_of_places_near_the_one_that_answers_give():
    stop = find_stop(kinds(0.375), CURVE)
    assert stop.place == pytest.approx(1.5)
    assert not stop.beyond
    assert stop.chances.sum() == pytest.approx(1)
    assert stop.places @ stop.chances == pytest.approx(1.5, abs=0.2)
    assert stop.chances[np.abs(stop.places - 1.5) < 1].sum() > 0.9


def test_what_learns_nothing_or_all_is_at_an_end():
    assert find_stop(kinds(0.0), CURVE).places @ find_stop(kinds(0.0), CURVE).chances < 0.3
    stop = find_stop(kinds(1.0), CURVE)
    assert stop.place == 3
    assert stop.places @ stop.chances > 2.6


def test_the_excess_is_the_difference_at_the_place():
    """Learnt alike at 0.5, where the curve lets 20 and 30 % of two kinds through and the arm 10 and 5."""
    broad = [kinds(*rates, answers=20) for rates in ((0.0, 0.0), (0.1, 0.1), (0.2, 0.3), (0.6, 0.6))]
    found = excess_at(find_stop(kinds(0.5), CURVE), kinds(0.1, 0.05, answers=20), broad)
    assert found.mean == pytest.approx((0.1 + 0.05) / 2 - (0.2 + 0.3) / 2)
    assert found.low < found.mean < found.high < 0
    assert found.n == 2 * 3 * 8 * 20


def test_who_knows_less_of_what_is_learnt_knows_less_of_the_excess():
    """The same answers to the broad questions, and a curve that breaks much while it learns."""
    broad = [kinds(rate, answers=40) for rate in (0.0, 0.2, 0.5, 0.9)]

    def width(questions: int, answers: int) -> float:
        curve = [kinds(rate, questions=questions, answers=answers) for rate in (0.0, 0.25, 0.5, 1.0)]
        learnt = kinds(0.5, questions=questions, answers=answers)
        found = excess_at(find_stop(learnt, curve), kinds(0.5, answers=40), broad)
        return found.high - found.low

    assert width(3, 4) > 1.3 * width(40, 40)


@pytest.mark.parametrize(
    "stopped",
    [
        Stopped(end=0.5, after=3),
        Stopped(end=0.5, after=4, prevented=0.5),
        Stopped(end=0.5, after=6),  # nearly all is learnt
        Stopped(end=0.005, after=4),
        Stopped(end=0.05, after=2, prevented=0.5, questions=24),
    ],
    ids=str,
)
def test_intervals_hold_the_truth(stopped):
    """Of intervals that hold 95 %, four of 20 miss the truth once in 60 such cells; narrower ones do so often."""
    assert excess_coverage(stopped, 20).held >= 17 / 20
