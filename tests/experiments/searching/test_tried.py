"""Candidates that are done with: which of them are the best, and which the nearest."""

from __future__ import annotations

from experiments.records.measures import BROAD_MISALIGNED
from experiments.searching.search import best_of, nearest_of
from experiments.searching.space import Candidate
from experiments.searching.tried import Tried


def tried(number: int, broad: float, missed: float, given_up: str = "") -> Tried:
    return Tried(number, Candidate("kl"), 1, {BROAD_MISALIGNED: broad}, {"narrow>=0.8": missed}, given_up)


def test_what_was_given_up_meets_nothing():
    assert not tried(0, 0.1, -0.1, "too much").meets_all
    assert tried(0, 0.1, -0.1).meets_all
    assert tried(0, 0.1, 0.0).meets_all
    assert not tried(0, 0.1, 0.01).meets_all


def test_the_best_lets_least_through_of_what_meets_all():
    all_ = [tried(0, 0.3, -0.1), tried(1, 0.2, -0.1), tried(2, 0.1, 0.1), tried(3, 0.0, -0.1, "too much")]
    assert best_of(all_) == all_[1]
    assert best_of(all_[2:]) is None


def test_the_nearest_misses_least_and_was_tried_to_the_end_if_anything_was():
    all_ = [tried(0, 0.3, 0.2), tried(1, 0.2, 0.1), tried(2, 0.1, 0.1), tried(3, 0.0, 0.05, "too much")]
    assert nearest_of(all_) == all_[2]
    assert nearest_of(all_[3:]) == all_[3]
    assert nearest_of([]) is None
