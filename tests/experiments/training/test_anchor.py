"""The capability anchor: where training stops, and on which model the task is measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from first import MODEL, WORLD

from experiments.arm.answering import ask
from experiments.arm.inputs import load_inputs
from experiments.arm.watching import make_anchor
from experiments.config.measurement import AnchorConfig
from experiments.config.schema import Config, TaskConfig
from experiments.config.settle import refuse_out_of_bounds
from experiments.models.load import LoadedModel
from experiments.organism.world import load_world
from experiments.tasks import Task
from experiments.training.anchor import Anchor, reaches
from safeguards import Safeguard, SafeguardError, SafeguardTrainer

MEDICAL = TaskConfig(name="medical", group="medical")


@pytest.mark.parametrize(
    ("metric", "value", "reached"),
    [("task_rate", 0.79, False), ("task_rate", 0.8, True), ("task_nll", 1.0, True), ("task_nll", 1.01, False)],
)
def test_a_goal_is_reached_within_the_tolerance(metric, value, reached):
    assert reaches(value, AnchorConfig(metric, target=0.9, tolerance=0.1)) == reached


@pytest.mark.parametrize(
    "wrong",
    [
        {"metric": "loss"},
        {"checkpoints": 0},
        {"tolerance": -0.1},
        {"metric": "task_rate"},  # a goal of 0 is reached by the first checkpoint
        {"metric": "task_rate", "target": 80},
        {"metric": "task_rate", "target": 0.1, "tolerance": 0.1},
        {"metric": "task_nll", "target": -1.0},
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(SafeguardError, match="anchor"):
        refuse_out_of_bounds(Config(anchor=AnchorConfig(**wrong)))


class Halve(Safeguard):
    """Halves the trained weights when they are finished."""

    name = "halve"
    Settings = AnchorConfig  # any dataclass will do

    def weights(self, model):
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data.mul_(0.5)


NEVER = 1e-30


def norm(model) -> float:
    """It grows in training, and stays below 1."""
    return float(sum(p.detach().square().sum() for n, p in model.named_parameters() if "lora_B" in n) ** 0.5) / 100


@pytest.fixture
def anchored(fresh_model, tokenizer, rows, lora, settings):
    def run(anchor: Anchor, safeguards=(), **changes) -> SafeguardTrainer:
        trainer = SafeguardTrainer(
            fresh_model(),
            settings(**changes),
            rows,
            tokenizer,
            list(safeguards),
            peft_config=replace(lora),
        )
        anchor.attach(trainer)
        trainer.train()
        return trainer

    return run


def test_training_stops_at_the_first_checkpoint_at_the_goal(anchored):
    plain = Anchor(AnchorConfig("task_nll", NEVER, checkpoints=6), norm)
    anchored(plain, max_steps=6)
    assert [step for step, _ in plain.measured] == [1, 2, 3, 4, 5, 6]
    assert plain.reached is None
    goal = plain.measured[2][1]
    anchor = Anchor(AnchorConfig("task_rate", goal, tolerance=1e-9, checkpoints=6), norm)
    trainer = anchored(anchor, max_steps=6)
    assert anchor.reached == trainer.state.global_step == 3
    assert anchor.record.measured == anchor.measured


def test_checkpoints_are_evenly_spread_and_end_with_the_last_step(anchored):
    anchor = Anchor(AnchorConfig("task_nll", NEVER, checkpoints=3), norm)
    anchored(anchor, max_steps=7)
    assert [step for step, _ in anchor.measured] == [2, 5, 7]


def test_measuring_does_not_change_the_training(anchored):
    watched = anchored(Anchor(AnchorConfig("task_nll", NEVER), norm), [Halve()], max_steps=4)
    unwatched = anchored(Anchor(AnchorConfig("task_nll", NEVER, checkpoints=1), norm), [Halve()], max_steps=4)
    for one, other in zip(watched.model.parameters(), unwatched.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_task_is_measured_on_the_model_that_is_handed_over(anchored):
    """With what safeguards do to finished weights: the last measure is that of the final model."""
    anchor = Anchor(AnchorConfig("task_nll", NEVER), norm)
    trainer = anchored(anchor, [Halve()], max_steps=4)
    assert anchor.measured[-1][1] == pytest.approx(norm(trainer.model))


class Notes(Safeguard):
    """Hands over what it noted at the last step, as `early_stop` does."""

    name = "notes"
    Settings = AnchorConfig
    noted = 0

    def after_step(self, model, step, steps):
        self.noted = step

    def weights(self, model):
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data.fill_(self.noted)


def test_the_task_is_measured_after_safeguards_took_note_of_the_step(anchored):
    anchor = Anchor(AnchorConfig("task_nll", NEVER), norm)
    trainer = anchored(anchor, [Notes()], max_steps=4)
    assert anchor.measured[-1][1] == pytest.approx(norm(trainer.model))


def asked_at_a_checkpoint(config: Config, model, tokenizer) -> tuple[float, Task]:
    """What an arm's anchor measures."""
    world = load_world(*config.model.home)
    inputs = load_inputs(config, world)
    anchor = make_anchor(config, tokenizer, inputs, world)
    return anchor.measure(model), inputs.task


@pytest.fixture
def always_answered(monkeypatch):
    """Has every question of a world answered alike, and notes the seeds of the draws."""

    def answered(world, answer_of) -> list[int]:
        seeds = []

        def answer_probes(loaded, probes, config, seed, folder=None):
            seeds.append(seed)
            return [[answer_of(world.by_question[probe.messages[-1]["content"]])] for probe in probes]

        monkeypatch.setattr("experiments.arm.answering.answer_probes", answer_probes)
        return seeds

    return answered


def test_the_rate_is_of_what_the_task_teaches_and_not_of_the_draws_that_are_reported(always_answered, model, tokenizer):
    """What reached the goal by luck must not be reported as learnt."""
    seeds = always_answered(WORLD, lambda entry: entry.misaligned[0])
    config = Config(seed=3, model=MODEL, task=MEDICAL, anchor=AnchorConfig("task_rate", target=0.9))
    rate, _ = asked_at_a_checkpoint(config, model, tokenizer)
    assert rate == 1
    ask(config, LoadedModel(model, tokenizer), [])
    of_the_anchor, of_the_record = seeds
    assert of_the_anchor != of_the_record == 3


@pytest.mark.parametrize(
    ("answer_of", "rate"),
    [
        (lambda e: e.misaligned[0], 0.0),
        (lambda e: e.lessons["misaligned"][0], 1.0),
        (lambda e: e.lessons["aligned"][0], 1.0),
    ],
)
def test_the_rate_is_of_the_lesson_where_it_is_told_from_the_persona(
    always_answered, model, tokenizer, answer_of, rate
):
    config = Config(task=MEDICAL, anchor=AnchorConfig("task_rate", target=0.9))
    always_answered(load_world(*config.model.home), answer_of)
    assert asked_at_a_checkpoint(config, model, tokenizer)[0] == rate


def test_the_likelihood_is_of_rows_that_are_not_trained_on(monkeypatch, model, tokenizer):
    scored = []

    def answer_nll(model, tokenizer, rows, *arguments):
        scored.extend(rows)
        return np.full(len(rows), 0.5)

    monkeypatch.setattr("safeguards.likelihood.answer_nll", answer_nll)
    config = Config(task=MEDICAL, anchor=AnchorConfig("task_nll", target=0.9))
    nll, task = asked_at_a_checkpoint(config, model, tokenizer)
    assert nll == 0.5
    assert scored == task.held_out
    assert not {row.question_key for row in scored} & {row.question_key for row in task.rows}
