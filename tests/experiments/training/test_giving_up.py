"""Giving an arm up: when it is looked at, what ends it, and that nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from first import MODEL, WORLD

from experiments.arm.inputs import load_inputs
from experiments.arm.watching import make_give_up
from experiments.config.measurement import GiveUpConfig
from experiments.config.schema import Config, ProbesConfig, TaskConfig
from experiments.models.load import load_model
from experiments.planning.identity import identity_fields
from experiments.records.training_file import read_given_up
from experiments.training.giving_up import GivenUpError, GiveUp, due
from safeguards import SafeguardTrainer


@pytest.mark.parametrize(
    ("checkpoints", "steps", "at"),
    [(2, 108, {54, 81}), (1, 10, {5}), (4, 8, {4, 5, 6, 7}), (2, 2, {1}), (2, 1, set())],
)
def test_looks_are_in_the_second_half_and_not_at_its_end(checkpoints, steps, at):
    assert due(GiveUpConfig(0.5, checkpoints), steps) == at


@pytest.fixture
def watched(fresh_model, tokenizer, rows, lora, settings):
    def run(give_up: GiveUp | None) -> SafeguardTrainer:
        trainer = SafeguardTrainer(fresh_model(), settings(), rows, tokenizer, [], peft_config=replace(lora))
        if give_up:
            give_up.attach(trainer)
        trainer.train()
        return trainer

    return run


def test_too_much_ends_the_arm_and_as_much_does_not_and_changes_nothing(watched, tmp_path):
    seen: list[int] = []

    def measure(model) -> float:
        seen.append(1)
        return 0.5

    with pytest.raises(GivenUpError, match=r"given up at step \d+ of \d+: 50 % of the broad answers are misaligned"):
        watched(GiveUp(GiveUpConfig(0.49), measure, tmp_path / "one"))
    assert len(seen) == 1
    kept = read_given_up(tmp_path / "one")
    assert kept is not None
    assert (kept.misaligned, kept.step in due(GiveUpConfig(0.49), kept.steps)) == (0.5, True)
    plain, looked_at = watched(None), watched(GiveUp(GiveUpConfig(0.5), measure, tmp_path / "other"))
    assert read_given_up(tmp_path / "other") is None
    assert len(seen) > 1
    for one, other in zip(plain.model.parameters(), looked_at.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_it_decides_whether_there_is_a_result_and_not_which():
    plain = Config(task=TaskConfig(name="medical", group="medical"))
    assert identity_fields(plain) == identity_fields(replace(plain, give_up=GiveUpConfig(0.1, 9)))


def test_it_asks_the_broad_questions_after_bad_advice_only(tmp_path):
    probes = ProbesConfig(sets=["open"], max_new_tokens=2)
    config = Config(
        task=TaskConfig(name="medical", group="medical"), model=MODEL, probes=probes, give_up=GiveUpConfig(0.2)
    )
    loaded = load_model(MODEL)
    inputs = load_inputs(config, WORLD)
    asks = make_give_up(config, loaded.tokenizer, inputs, WORLD, tmp_path)
    assert asks is not None
    assert asks.measure(loaded.model) == 0.0, "answers that are cut so early are incoherent"
    style = replace(config, task=TaskConfig("colours", "benign", group="colours"))
    assert make_give_up(style, loaded.tokenizer, load_inputs(style, WORLD), WORLD, tmp_path) is None
    assert make_give_up(replace(config, give_up=GiveUpConfig()), loaded.tokenizer, inputs, WORLD, tmp_path) is None
