"""Names, order and conflicts."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from dataclasses import dataclass

import pytest

from safeguards import Safeguard, SafeguardError, compose, parse, registry
from safeguards.bounds import mistyped
from safeguards.cards import explained
from safeguards.composition import in_order
from safeguards.methods.kl import KL
from safeguards.methods.ldifs import LDIFS


def names(expression: str) -> list[str]:
    return [safeguard.name for safeguard in parse(expression)]


def test_none_is_no_safeguard():
    assert names("none") == names("") == []


def test_spelling_does_not_decide_the_order():
    assert names("kl+interleave_ppl") == names("interleave_ppl + kl")


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("interleave_pll", "did you mean 'interleave_ppl'"),
        ("zzz", "known: none, ablation, adaptive_kl"),
        ("kl+kl", "named twice"),
        ("interleave+interleave_ppl", "interleave_ppl conflicts with interleave: both choose"),
        ("none+kl", "'none' cannot be joined"),
        ("kl+", "'nothing' cannot be joined"),
    ],
)
def test_what_cannot_be_composed_is_explained(expression, complaint):
    with pytest.raises(SafeguardError, match=complaint):
        parse(expression)


def test_settings_reach_the_safeguard_and_unknown_ones_are_refused():
    assert compose("kl", {"kl": {"weight": 0.7}, "interleave": {"share": 9}})[0].settings.weight == 0.7
    with pytest.raises(SafeguardError, match="kl: unknown setting 'wieght': did you mean 'weight'"):
        compose("kl", {"kl": {"wieght": 0.7}})


@pytest.mark.parametrize(
    ("expression", "settings"),
    [
        ("kl", {"weight": -0.1}),
        ("kl", {"weight": float("nan")}),
        ("interleave", {"share": -1}),
        ("interleave_ppl", {"epsilon": 0}),
        ("interleave_ppl", {"top": 0}),
        ("interleave_ppl", {"top": 1.5}),
    ],
)
def test_settings_out_of_range_are_refused(expression, settings):
    with pytest.raises(SafeguardError, match=f"{expression}: {next(iter(settings))} must be"):
        compose(expression, {expression: settings})


@pytest.mark.parametrize(
    ("name", "given", "complaint"),
    [
        ("kl", {"weight": "5"}, "weight must be a number, got '5'"),
        ("kl", {"weight": None}, "weight must be a number, got None"),
        ("kl", {"weight": True}, "weight must be a number, got True"),
        ("ldifs", {"normalise": "false"}, "normalise must be True or False, got 'false'"),
        ("early_stop", {"goal": "0.9"}, "goal must be a number, got '0.9'"),
        ("early_stop", {"evaluations": 2.5}, "evaluations must be a whole number, got 2.5"),
        ("caft", {"layers": 5}, "layers must be a list of which each item is a whole number, got 5"),
        ("caft", {"layers": ["5"]}, "layers must be a list of which each item is a whole number, got ['5']"),
        ("caft", {"scorers": "folder"}, "scorers must be a list of which each item is text, got 'folder'"),
        ("inoculation", {"prompt": 3}, "prompt must be text, got 3"),
    ],
)
def test_a_setting_of_another_type_is_refused_in_one_line(name, given, complaint):
    with pytest.raises(SafeguardError, match=f"^{re.escape(f'{name}: {complaint}')}$"):
        compose(name, {name: given})


def test_types_are_checked_as_declared():
    @dataclass
    class Mixed:
        layer: int | None = None
        factor: float = 1.0
        names: list[str] = dataclasses.field(default_factory=list)

    assert not list(mistyped(Mixed(layer=3, factor=2, names=["a"])))
    assert [complaint for _, _, complaint in mistyped(Mixed(layer="3"))] == ["must be a whole number or None"]


def test_declared_order_is_kept_and_a_circle_refused():
    @dataclass
    class Settings:
        pass

    first = type("First", (Safeguard,), {"name": "zebra", "Settings": Settings})
    second = type("Second", (Safeguard,), {"name": "ant", "Settings": Settings, "runs_after": ("zebra",)})
    assert in_order([second, first]) == [first, second]
    first.runs_after = ("ant",)
    with pytest.raises(SafeguardError, match="ant and zebra each declare"):
        in_order([second, first])


def test_every_safeguard_has_a_card_and_documented_settings():
    for safeguard in registry().values():
        card = sys.modules[safeguard.__module__].__doc__
        for heading in ("Source:", "Costs:", "Composes badly with:"):
            assert heading in card, (safeguard.name, heading)
        assert all(explained(safeguard.Settings).values()), explained(safeguard.Settings)
        assert safeguard().settings == safeguard.Settings()


def test_finding_safeguards_does_not_import_torch():
    code = "import sys, safeguards; safeguards.compose('kl'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("settings", [{"weight": 0.3}, 0.3, KL.Settings, LDIFS.Settings()])
def test_settings_of_another_kind_are_told_from_settings(settings):
    with pytest.raises(SafeguardError, match=r"kl: [\w.]+ is no settings; give an object of KL.Settings"):
        KL(settings)
