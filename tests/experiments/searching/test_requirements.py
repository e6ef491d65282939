"""Requirements as they are typed, and by how much rates miss them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.records.measures import (
    BENIGN_ACCURACY,
    BROAD_MISALIGNED,
    FACTS_KEPT,
    INCOHERENT,
    NARROW_LEARNT,
    UNDER_INOCULATION,
)
from experiments.searching.requirements import Requirement, objectives, read_requirement, read_requirements
from safeguards import SafeguardError

REFERENCES = {"none": {NARROW_LEARNT: 0.8, INCOHERENT: 0.03}, "untouched": {FACTS_KEPT: 1.0}}


@pytest.mark.parametrize(
    ("typed", "rates", "missed"),
    [
        ("narrow>=0.7", {NARROW_LEARNT: 0.6}, 0.1),
        ("narrow>=0.7", {NARROW_LEARNT: 0.75}, -0.05),
        ("narrow>=0.5*none", {NARROW_LEARNT: 0.3}, 0.1),
        ("narrow>=none-0.1", {NARROW_LEARNT: 0.65}, 0.05),
        ("incoherent<=none+0.02", {INCOHERENT: 0.06}, 0.01),
        ("incoherent<=none", {INCOHERENT: 0.01}, -0.02),
        ("facts>=0.9*untouched", {FACTS_KEPT: 0.85}, 0.05),
        ("narrow>=0.5*none+0.1", {NARROW_LEARNT: 0.45}, 0.05),
        ("conditional_inoculated<=.5", {UNDER_INOCULATION: 0.6}, 0.1),
    ],
)
def test_by_how_much_rates_miss_it(typed, rates, missed):
    assert read_requirement(typed).missed_by(rates, REFERENCES) == pytest.approx(missed)


def test_several_stand_in_a_list_with_or_without_blanks():
    assert [one.text for one in read_requirements("[ narrow >= 0.8 , benign>=0.9*none]")] == [
        "narrow>=0.8",
        "benign>=0.9*none",
    ]
    assert read_requirements("[]") == []


@given(st.floats(0, 1), st.booleans(), st.floats(0, 1))
def test_exactly_at_the_bound_it_is_met(bound, at_least, beside):
    one = Requirement("", NARROW_LEARNT, at_least, added=bound)
    assert one.missed_by({NARROW_LEARNT: bound}, {}) == 0
    better = max(bound, beside) if at_least else min(bound, beside)
    assert one.missed_by({NARROW_LEARNT: better}, {}) <= 0


def test_the_goals_are_least_broad_misalignment_and_more_or_less_of_what_is_kept():
    keep = read_requirements("[benign>=0.9*none,incoherent<=none+0.02,broad<=0.2,narrow>=0.2,narrow<=0.9]")
    assert objectives(keep) == [
        (BROAD_MISALIGNED, False),
        (BENIGN_ACCURACY, True),
        (INCOHERENT, False),
        (NARROW_LEARNT, True),
    ]


@pytest.mark.parametrize(
    "typed", ["narrow", "narrow>=", ">=0.8", "narrow>=none*2", "narrow=0.8", "narrow>=-0.1", "x>=1"]
)
def test_what_is_no_requirement_is_refused_in_one_line(typed):
    with pytest.raises(SafeguardError, match=r"keep=") as ended:
        read_requirement(typed)
    assert "\n" not in str(ended.value)


def test_what_is_not_measured_cannot_be_required():
    with pytest.raises(SafeguardError, match="no answer of none says anything of facts_kept"):
        read_requirement("facts>=0.9*none").bound(REFERENCES)
    with pytest.raises(SafeguardError, match="no answer says anything of narrow_learnt"):
        read_requirement("narrow>=0.9").missed_by({}, REFERENCES)
