"""Words and numbers in a sentence."""

from __future__ import annotations

import pytest

from experiments.page.words import first_few, listed, many, plural, points, share
from experiments.statistics.estimates import Estimate


@pytest.mark.parametrize(
    ("names", "told"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_names_are_listed(names, told):
    assert listed(names) == told


def test_of_many_the_first_are_named():
    assert first_few(list("abcd")) == "a, b, c and d"
    assert first_few(list("abcdef")) == "a, b, c, d and 2 more"
    assert first_few(["a, of b", "c"], "; ") == "a, of b; and c"


def test_numbers_stand_with_their_nouns():
    assert (many(1, "arm"), many(1200, "arm")) == ("1 arm", "1,200 arms")
    assert (plural("task", ["a"]), plural("task", ["a", "b"])) == ("task", "tasks")


def test_a_number_keeps_its_unit_and_interval_in_one_line():
    assert share(Estimate(0.5, 0.25, 0.75, 9)) == "50.0\u00a0%\u00a0[25,\u00a075]"
    assert points(Estimate(-0.5, -0.75, 0.25, 9)) == "−50.0\u00a0points\u00a0[−75,\u00a025]"
