"""The early warning: what it projects, and that it stops a run without changing one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from safeguards import SafeguardError, SafeguardTrainer
from safeguards.activations import adding
from safeguards.encoding import Collator, encode
from safeguards.model import unwrap
from safeguards.monitor import Monitor


@pytest.fixture
def watched(fresh_model, tokenizer, rows, lora, settings):
    def run(monitor: Monitor | None, **changes) -> SafeguardTrainer:
        callbacks = [monitor] if monitor else []
        trainer = SafeguardTrainer(
            fresh_model(), settings(**changes), rows, tokenizer, peft_config=replace(lora), callbacks=callbacks
        )
        trainer.train()
        return trainer

    return run


def vector() -> torch.Tensor:
    return torch.randn(32, generator=torch.Generator().manual_seed(1))


def test_drift_is_the_projection_before_the_answers_less_that_of_the_first_step(watched, tokenizer, rows):
    """By hand: the models before steps 1 and 3, and the hidden states at the last prompt token of every row."""
    monitor = Monitor(1, vector())
    watched(monitor, per_device_train_batch_size=16, max_steps=3)
    batch = Collator(tokenizer.pad_token_id)([encode(tokenizer, row, 2048) for row in rows])
    before = (batch["labels"] != -100).float().argmax(-1) - 1
    positions = []
    for steps, rate in ((1, 0.0), (2, 1e-2)):
        model = unwrap(watched(None, per_device_train_batch_size=16, max_steps=steps, learning_rate=rate).model).eval()
        with torch.no_grad():
            states = model(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], output_hidden_states=True
            ).hidden_states[1]
        positions.append(float((states[torch.arange(16), before] @ vector()).mean() / vector().square().sum()))
    assert [step for step, _ in monitor.history] == [1, 2, 3]
    assert monitor.history[0][1] == 0
    assert monitor.history[2][1] == pytest.approx(positions[1] - positions[0], rel=1e-3)


def test_watching_changes_nothing(watched):
    plain, monitored = watched(None), watched(Monitor(1, vector()))
    for one, other in zip(plain.model.parameters(), monitored.model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert any("monitor/drift" in entry for entry in monitored.state.log_history)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_every_micro_batch_counts_once(watched, checkpointing, monkeypatch):
    seen = []
    project = Monitor._project

    def count(self, *given):
        before = len(self._seen)
        project(self, *given)
        seen.append(len(self._seen) - before)

    monkeypatch.setattr(Monitor, "_project", count)
    watched(Monitor(1, vector()), max_steps=2, gradient_accumulation_steps=2, gradient_checkpointing=checkpointing)
    assert sum(seen) == 4


def test_it_stops_the_run_when_the_drift_stays_above_the_limit(watched):
    drift = Monitor(1, vector())
    watched(drift, max_steps=6)
    limit = min(d for _, d in drift.history) - 1  # always above
    stopping = Monitor(1, vector(), limit=limit, patience=2)
    trainer = watched(stopping, max_steps=6)
    assert stopping.stopped == 2
    assert trainer.state.global_step == 2
    never = Monitor(1, vector(), limit=1e9, patience=2)
    assert watched(never, max_steps=6).state.global_step == 6
    assert never.stopped is None


def test_it_lets_go_of_the_model(watched):
    model = unwrap(watched(Monitor(1, vector())).model)
    assert not model._forward_pre_hooks
    assert not model.get_decoder().layers[1]._forward_pre_hooks


def test_it_sees_the_model_and_not_what_steering_adds(watched, model):
    edit = adding(1, vector(), 5.0)
    monitor = Monitor(1, vector())
    monitor.on_train_begin(None, None, None, model=model)
    batch = {"input_ids": torch.tensor([[1, 5, 6]]), "labels": torch.tensor([[-100, 5, 6]])}
    model.train()
    model(**batch)
    with edit.applied(model):
        model(**batch)
    assert float(monitor._seen[0]) == pytest.approx(float(monitor._seen[1]), abs=1e-6)


def test_a_layer_that_is_not_there_is_refused(watched):
    with pytest.raises(SafeguardError, match="layer 2: must be between 0 and 1"):
        watched(Monitor(2, vector()))
    with pytest.raises(SafeguardError, match="patience must be at least 1"):
        Monitor(1, vector(), patience=0)
