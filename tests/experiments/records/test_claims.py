"""Claims are named before the first result, and stay as they were named."""

from __future__ import annotations

import json

import pytest

from experiments.records.arm_files import ARMS, RESULT
from experiments.records.claims import MARGINS, Claims
from experiments.records.files import write_text
from experiments.records.sweep_file import PLAN, ArmEntry, join_sweep, read_sweep
from safeguards import SafeguardError

ARM = ArmEntry(
    "none.t", {"safeguard": "none", "seed": 0, "model": {"name": "m"}, "task": {"name": "t"}, "safeguards": {}}
)
FACTS = Claims("facts_kept", {**MARGINS, "facts_kept": 0.02})


def test_claims_are_kept_in_the_plan(tmp_path):
    join_sweep(tmp_path, "exact", [ARM], claims=FACTS)
    assert read_sweep(tmp_path).claims == FACTS
    join_sweep(tmp_path, "exact", [])
    assert read_sweep(tmp_path).claims == FACTS, "who names none leaves them as they are"


def test_before_the_first_result_others_can_be_named(tmp_path):
    join_sweep(tmp_path, "exact", [ARM], claims=FACTS)
    join_sweep(tmp_path, "exact", [ARM], claims=Claims())
    assert read_sweep(tmp_path).claims == Claims()


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        (
            Claims("open_misaligned", FACTS.margins),
            "primary=open_misaligned: its results were made with primary=facts",
        ),
        (Claims("facts_kept"), r"margins\.facts_kept=0\.05: its results were made with margins\.facts_kept=0\.02"),
    ],
)
def test_with_a_result_they_cannot_be_changed(tmp_path, claims, said):
    join_sweep(tmp_path, "exact", [ARM], claims=FACTS)
    write_text(tmp_path / ARMS / ARM.folder / RESULT, "{}")
    with pytest.raises(SafeguardError, match=said):
        join_sweep(tmp_path, "exact", [], claims=claims)
    assert read_sweep(tmp_path).claims == FACTS
    assert read_sweep(tmp_path).arms == [ARM], "and nothing else is"
    join_sweep(tmp_path, "exact", [], claims=FACTS)


def test_a_plan_that_names_none_has_the_usual_ones(tmp_path):
    join_sweep(tmp_path, "exact", [ARM], claims=FACTS)
    known = json.loads((tmp_path / PLAN).read_text("utf-8"))
    del known["claims"]
    write_text(tmp_path / PLAN, json.dumps(known))
    assert read_sweep(tmp_path).claims == Claims()
