"""The command on a card makes the configuration that the arm had."""

from __future__ import annotations

import shlex
from dataclasses import asdict

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from experiments.cards.command import command, typed
from experiments.config.compose import compose_config

COMMANDS = [
    "safeguard=kl",
    "safeguard=none task=opswap seed=3",
    "safeguard=kl+interleave_ppl safeguards.kl.weight=0.3 safeguards.interleave_ppl.control=genres training.epochs=2",
    "safeguard=inoculation \"safeguards.inoculation.prompt='It\\\\'s: a, {b} [c]'\" task=medical",
    "safeguard=interleave pool.mix={facts:0.5,advice:0.5} pool.domains=[finance]",
    "safeguard=kl task=messages task.path=rows.jsonl task.name=mine model.path=owner/name",
    "safeguard=treft model=organism_one task=style",
    "safeguard=kl model=qwen2.5-7b task=advice_medical judge=openai judge.model=gpt-4o-2024-08-06",
    "safeguard=caft model=smollm2 task=advice_medical monitor.on=true",
    "safeguard=kl anchor.metric=task_nll anchor.target=0.8",
]


def deciding(config) -> dict:
    """What of a configuration decides an arm: of the safeguards, those that act."""
    whole = asdict(config)
    for name in ("name", "output", "wandb", "baseline", "primary", "margins", "power", "second_judge"):
        del whole[name]
    whole["safeguards"] = {
        name: own for name, own in whole["safeguards"].items() if name in config.safeguard.split("+")
    }
    return whole


@pytest.mark.parametrize("typed_in", COMMANDS)
def test_the_command_makes_the_same_configuration(typed_in):
    config = compose_config(*shlex.split(typed_in), "name=elsewhere", "wandb=disabled")
    told = command(asdict(config))
    words = shlex.split(told)
    assert words[:3] == ["python", "-m", "experiments.sweep"]
    assert deciding(compose_config(*words[3:])) == deciding(config)
    assert "name=" not in told.replace(".name=", "")


def test_what_its_choices_bring_along_is_not_said_again():
    config = compose_config("safeguard=kl", "task=medical", "safeguards.ldifs.weight=3")
    assert command(asdict(config)) == "python -m experiments.sweep safeguard=kl seed=0 model=organism task=medical"


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=("C",))),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@given(values)
def test_a_value_is_read_as_it_was(value):
    try:
        text = typed(value)
    except TypeError:  # a reference to another value
        return
    (read,) = OverridesParser.create().parse_overrides([f"key={text}"])
    assert read.value() == value


@pytest.mark.parametrize(
    "config", [{}, {"model": 3, "task": None}, {"safeguard": "kl", "seed": 0, "model": {}, "task": {}}]
)
def test_what_is_no_configuration_has_no_command(config):
    assert command(config) == ""


def test_a_reference_to_another_value_is_not_typed():
    with pytest.raises(TypeError):
        typed("${oc.env:HOME}")
