"""Which rows are doses of one safeguard, and in which order."""

from __future__ import annotations

from typing import Any

from pictures.made import a_row, an_arm

from experiments.pictures.families import families_of, references
from experiments.report.arms import Arm


def kl(weight: Any, **given: Any) -> list[Arm]:
    return [an_arm("kl", safeguards={"kl": {"weight": weight, "every": 1}}, **given)]


def found(*groups: list[Arm]) -> list[tuple[str, str, list[float], list[int]]]:
    rows = [a_row(arms[0].entry.safeguard, 0.1, model=arms[0].entry.model["name"]) for arms in groups]
    families = families_of(rows, groups)
    return [(each.safeguard, each.short, list(each.doses), list(each.rows)) for each in families]


def test_doses_are_in_order_of_their_numbers_and_not_of_the_plan():
    assert found([an_arm("none")], kl(1.0), kl(0.03), kl(0.3)) == [("kl", "weight", [0.03, 0.3, 1.0], [2, 3, 1])]


def test_other_models_and_other_training_are_other_families():
    groups = kl(0.1), kl(0.3), kl(0.1, model="n"), kl(0.3, model="n"), kl(1.0, training={"epochs": 2})
    assert [rows for *_, rows in found(*groups)] == [[0, 1], [2, 3]]


def test_one_dose_is_no_family_nor_are_words_or_switches():
    assert found(kl(0.1)) == []
    assert found(kl("low"), kl("high")) == []
    assert found(kl(True), kl(False)) == []
    assert found(kl(0.1), kl(None)) == []


def test_of_two_settings_that_were_swept_the_one_of_most_values_is_the_dose():
    def arm(weight: float, every: int) -> list[Arm]:
        return [an_arm("kl", safeguards={"kl": {"weight": weight, "every": every}})]

    assert found(arm(0.1, 1), arm(0.2, 1), arm(0.4, 1), arm(0.1, 2), arm(0.2, 2)) == [
        ("kl", "weight", [0.1, 0.2, 0.4], [0, 1, 2]),
        ("kl", "weight", [0.1, 0.2], [3, 4]),
    ]


def test_joined_safeguards_say_whose_setting_it_is():
    def joined(share: float) -> list[Arm]:
        return [an_arm("interleave+kl", safeguards={"interleave": {"share": share}, "kl": {"weight": 0.1}})]

    ((_, short, doses, _),) = found(joined(0.2), joined(0.1))
    assert (short, doses) == ("interleave.share", [0.1, 0.2])


def test_each_row_is_beside_the_none_that_was_trained_as_it_was():
    short, long = {"epochs": 1}, {"epochs": 3}
    groups = [
        *([an_arm("none", training=known)] for known in (short, long)),
        *([an_arm("kl", training=known)] for known in (long, short)),
        [an_arm("kl", training={"epochs": 9})],
    ]
    assert references(groups) == [0, 1, 1, 0, None]
