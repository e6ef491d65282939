"""What a search chooses from: every safeguard's range holds its usual dose, and can be set."""

from __future__ import annotations

import optuna
import pytest

from experiments.searching.space import Candidate, Range, Space, ranges_of, rounded
from safeguards.composition import registry


def of(name: str, **typed) -> list[Range]:
    safeguard = registry()[name]
    return ranges_of(safeguard, safeguard.Settings(), typed)


@pytest.mark.parametrize("name", list(registry()))
def test_every_dose_that_is_searched_can_be_set_from_end_to_end(name):
    found = of(name)
    assert found or name == "inoculation", "declare `searched=` beside the dose"
    for one in found:
        setting = one.key.rpartition(".")[2]
        kind = int if one.whole else float
        for value in (one.low, one.high, one.usual):
            registry()[name](registry()[name].Settings(**{setting: kind(value)}))
        assert 0 < one.low <= one.usual <= one.high


def test_a_setting_that_is_not_read_is_not_searched():
    safeguard = registry()["safelora"]
    by_threshold = safeguard.Settings(select="threshold")
    assert ranges_of(safeguard, by_threshold, {}) == []


def test_a_usual_dose_beyond_the_range_widens_it():
    safeguard = registry()["kl"]
    (found,) = ranges_of(safeguard, safeguard.Settings(weight=50.0), {})
    assert (found.low, found.high) == (0.01, 50.0)


def test_what_is_typed_replaces_a_range_and_one_value_fixes_it():
    key = "safeguards.kl.weight"
    assert of("kl", **{key: Range(key, choices=("0.1", "1"))}) == [Range(key, 0.1, choices=("0.1", "1"))]
    assert of("kl", **{key: None}) == []


def test_what_conflicts_is_no_candidate_and_members_are_in_the_order_in_which_they_act():
    space = Space(("kl", "interleave", "interleave_ppl"), 2, {"kl": of("kl")})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))

    def suggest(**params):
        study.enqueue_trial({name.replace("_", " "): value for name, value in params.items()})
        return space.suggest(study.ask())

    assert suggest(safeguard="interleave", safeguard_2="interleave_ppl") is None
    found = suggest(safeguard="kl", safeguard_2="interleave")
    assert found.safeguard == "interleave+kl"
    assert found.settings[0].startswith("safeguards.kl.weight=")
    assert suggest(safeguard="interleave", safeguard_2="interleave") == Candidate("interleave")
    assert suggest(safeguard="interleave", safeguard_2="-") == Candidate("interleave")


def test_doses_have_two_digits_and_a_member_alone_keeps_its_own():
    assert [rounded(value) for value in (0.012345, 1.0, 97.6, 123.0)] == ["0.012", "1", "98", "120"]
    both = Candidate("kl+treft", ("safeguards.kl.weight=0.3", "safeguards.treft.weight=5"))
    assert both.alone("treft") == Candidate("treft", ("safeguards.treft.weight=5",))
    assert both.overrides == ["safeguard=kl+treft", "safeguards.kl.weight=0.3", "safeguards.treft.weight=5"]
    assert both.dose("safeguards.kl.weight") == "0.3"
