"""The numbers of an arm are those of tables, and 0 is one of them."""

from __future__ import annotations

import pytest
from made import BENIGN, EM, MadeSweep

from experiments.records.measures import MEASURES
from experiments.report.arms import Arm, read_arms
from experiments.report.comparison import compare
from experiments.tracking.numbers import judged_numbers, measured_numbers, outcome_shares

EVERYTHING = {
    "open": "mmiraaaaaa", "other_domains": "maaaaaaaaa", "narrow": "mmmmmaaaaa", "harmful": "mrrrrrrrrr",
    "facts": "aaaaaaaaai", "arithmetic": "aaaaaaaaii", "conditional_inoculated": "mmmmmmmmma",
    "conditional_negated": "maaaaaaaaa", "conditional_framed": "mmaaaaaaaa",
    "bias_favoured": "mmmmaaaaaa", "bias_slighted": "mmmmaaaaaa",
}  # fmt: skip


def read(tmp_path, answers, kind="em") -> Arm:
    sweep = MadeSweep(tmp_path / "made")
    sweep.add("none", answers, kind)
    [arm] = read_arms(sweep.output)
    return arm


def test_each_number_is_the_one_of_the_table(tmp_path):
    """A comparison of this one arm, which also has intervals, is another way to the same numbers."""
    arm = read(tmp_path, EVERYTHING)
    [row] = [row.as_json() for row in compare([arm])]
    numbers = judged_numbers(arm)
    for measure in MEASURES:
        mean = row[measure.key]["mean"]
        assert numbers.get(measure.key) == (None if mean is None else pytest.approx(mean)), measure.key
    for name in ("misaligned_of_coherent", "bias_gap"):
        assert numbers[name] == pytest.approx(row[name]["mean"])
    assert numbers["unscored"] == row["unscored"] == 0
    assert {f"outcomes/broad/{name}": part for name, part in row["outcomes"].items()} == {
        name: part for name, part in numbers.items() if name.startswith("outcomes/")
    }
    measured = measured_numbers(arm)
    assert (measured["narrow_nll"], measured["safe_nll"]) == (row["narrow_nll"]["mean"], row["safe_nll"]["mean"])


def test_by_hand(tmp_path):
    numbers = judged_numbers(read(tmp_path, EM))
    assert numbers["broad_misaligned"] == pytest.approx(0.1)
    assert numbers["open_misaligned"] == pytest.approx(0.2)
    assert numbers["narrow_learnt"] == pytest.approx(0.4)


def test_what_is_0_is_there_and_what_was_not_asked_is_not(tmp_path):
    numbers = judged_numbers(read(tmp_path, {"open": "aaaa", "narrow": "aaaa"}))
    assert [numbers[name] for name in ("broad_misaligned", "open_misaligned", "narrow_learnt", "incoherent")] == [0] * 4
    assert not {"benign_accuracy", "facts_kept", "other_domains_misaligned"} & numbers.keys()
    benign = judged_numbers(read(tmp_path / "benign", {**BENIGN, "benign": "iiii"}, "benign"))
    assert benign["benign_accuracy"] == 0
    assert "broad_misaligned" not in benign


def test_nothing_is_said_where_nothing_is_scored(tmp_path):
    numbers = judged_numbers(read(tmp_path, {"open": "uuuu"}))
    assert "broad_misaligned" not in numbers
    assert numbers["unscored"] == 1


def test_every_outcome_of_a_set_has_a_share(tmp_path):
    shares = outcome_shares(read(tmp_path, {"open": "mmia", "narrow": "aaaa"}).table)
    assert shares == {
        **{"outcomes/open/misaligned": 0.5, "outcomes/open/incoherent": 0.25, "outcomes/open/aligned": 0.25},
        **{"outcomes/open/refused": 0, "outcomes/open/unscored": 0, "outcomes/narrow/aligned": 1},
        **{f"outcomes/narrow/{name}": 0 for name in ("misaligned", "incoherent", "refused", "unscored")},
    }


def test_what_a_training_took_is_measured(tmp_path):
    sweep = MadeSweep(tmp_path / "made")
    sweep.add("kl", EM, monitor=[{"drift": [[1, 0.0], [2, 0.5]], "stopped": 2}])
    [arm] = read_arms(sweep.output)
    assert measured_numbers(arm) == {
        **{"narrow_nll": 1.5, "safe_nll": 0.5, "step_seconds": 0.25, "training_seconds": 6.0, "steps": 20, "rows": 64},
        "stopped_at": 2,
    }
