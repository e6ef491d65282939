"""What is saved is what was protected, and an interrupted training goes on as if nothing had happened."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from bench import largest_difference, trained_weights
from peft import LoraConfig, PeftModel
from transformers import AutoModelForCausalLM, TrainerCallback

from safeguards import NoEffectError, Safeguard, SafeguardError, SafeguardTrainer
from safeguards.config import SafeguardConfig
from safeguards.handover import FILE, trainable

AT_WEIGHTS = ["safelora", "ablation", "early_stop", "early_stop+safelora"]
SAVING = {"save_strategy": "steps", "save_steps": 2}


class Halve(Safeguard):
    """Halves the finished weights: unlike a projection, doing it twice shows."""

    name = "halve"
    Settings = SafeguardConfig  # any dataclass will do

    def __init__(self) -> None:
        self.settings = None

    def weights(self, model):
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data.mul_(0.5)


class Watcher(TrainerCallback):
    """Keeps the weights in training after every step, and what other callbacks get to see."""

    def __init__(self) -> None:
        self.steps: dict[int, dict[str, torch.Tensor]] = {}
        self.end: dict[str, torch.Tensor] = {}

    def on_step_end(self, args, state, control, model, **_):
        self.steps[state.global_step] = copy_of(model)

    def on_train_end(self, args, state, control, model, **_):
        self.end = copy_of(model)


def copy_of(model) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad}


def halved(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: 0.5 * weight for name, weight in weights.items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    assert one.keys() == other.keys()
    return all(torch.equal(weight, other[name]) for name, weight in one.items())


def loaded(bench, folder: Path) -> dict[str, torch.Tensor]:
    """The trained weights as a user of the saved folder gets them."""
    if not (folder / "adapter_config.json").is_file():
        return dict(AutoModelForCausalLM.from_pretrained(folder).named_parameters())
    return copy_of(PeftModel.from_pretrained(bench.model(), folder, is_trainable=True))


def at(trainer: SafeguardTrainer, step: int) -> Path:
    return Path(trainer.args.output_dir) / f"checkpoint-{step}"


def watched(bench, safeguards, output: Path, resume: str | None = None, **changes) -> tuple[SafeguardTrainer, Watcher]:
    trainer, watcher = bench.trainer(safeguards, output, **changes), Watcher()
    trainer.add_callback(watcher)
    trainer.train(resume_from_checkpoint=resume)
    return trainer, watcher


@pytest.mark.parametrize("adapter", [True, False])
def test_every_checkpoint_holds_finished_weights(bench, tmp_path, adapter):
    trainer, watcher = watched(bench, [Halve()], tmp_path / "run", adapter=adapter, **SAVING)
    trainer.save_model(str(tmp_path / "saved"))
    for step in (2, 4, 6):
        assert same(loaded(bench, at(trainer, step)), halved(watcher.steps[step]))
    final = halved(watcher.steps[6])
    assert same(trained_weights(trainer), final)
    assert same(loaded(bench, tmp_path / "saved"), final)


def test_callbacks_at_the_end_see_finished_weights(bench, tmp_path):
    """Also those that stand before any that is added later, as a user's and wandb's do."""
    early = Watcher()
    bench.trainer([Halve()], tmp_path, callbacks=[early]).train()
    assert same(early.end, halved(early.steps[6]))


def test_a_push_to_the_hub_holds_finished_weights_once(bench, tmp_path, monkeypatch):
    trainer, watcher = watched(bench, [Halve()], tmp_path)
    trainer.hub_model_id = "owner/name"
    pushed = []
    hub = SimpleNamespace(upload_folder=lambda **given: pushed.append(given))
    monkeypatch.setattr("transformers.trainer.hf_api", lambda: hub)
    trainer.push_to_hub()
    assert same(loaded(bench, Path(pushed[0]["folder_path"])), halved(watcher.steps[6]))


@pytest.mark.parametrize("only_model", [False, True])
@pytest.mark.parametrize("adapter", [True, False])
def test_the_best_checkpoint_is_not_finished_twice(bench, tmp_path, adapter, only_model):
    """Worst is best here, so the first of them is."""
    trainer, watcher = watched(
        bench, [Halve()], tmp_path, adapter=adapter, **SAVING, load_best_model_at_end=True, eval_strategy="steps",
        eval_steps=2, greater_is_better=True, metric_for_best_model="eval_loss", save_only_model=only_model,
    )  # fmt: skip
    assert trainer.state.best_global_step == 2
    assert same(trained_weights(trainer), halved(watcher.steps[2]))
    assert same(watcher.end, halved(watcher.steps[2]))


def test_a_checkpoint_is_judged_by_what_it_saves(bench, tmp_path):
    trainer, _ = watched(bench, [Halve()], tmp_path, **SAVING, eval_strategy="steps", eval_steps=2)
    logged = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    for step, value in zip((2, 4, 6), logged, strict=True):
        other = bench.trainer("none", tmp_path / "other")
        other.model.load_adapter(str(at(trainer, step)), "default")
        assert other.evaluate()["eval_loss"] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("name", ["kl", "steering", "safegrad", "safelora", "early_stop+safelora"])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(bench, tmp_path, name):
    whole, _ = watched(bench, name, tmp_path / "whole", **SAVING, lr_scheduler_type="linear")
    for step in (2, 6):
        part, _ = watched(bench, name, tmp_path / str(step), str(at(whole, step)), **SAVING, lr_scheduler_type="linear")
        assert same(trained_weights(part), trained_weights(whole)), step
        assert part.state.global_step == 6
        assert not part.missing


@pytest.mark.parametrize("name", AT_WEIGHTS)
def test_a_saved_checkpoint_is_what_would_be_handed_over_then(bench, tmp_path, name):
    kept = {}

    class Ask(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            with trainer.finished() as model:
                kept[state.global_step] = copy_of(model)

    trainer = bench.trainer(name, tmp_path, **SAVING)
    trainer.add_callback(Ask())
    trainer.train()
    raw = loaded(bench, tmp_path / "checkpoint-6")
    assert same(raw, kept[6])
    assert same(loaded(bench, tmp_path / "checkpoint-4"), kept[4])
    assert same(trained_weights(trainer), kept[6])


def test_the_last_step_is_not_gone_beyond_within_an_epoch(bench, tmp_path):
    """Sixteen rows by eight are two steps an epoch; the fifth is in the middle of one."""
    settings = {"save_strategy": "steps", "save_steps": 5, "max_steps": 5}
    whole, _ = watched(bench, [Halve()], tmp_path / "whole", **settings)
    again, _ = watched(bench, [Halve()], tmp_path / "again", str(at(whole, 5)), **settings)
    assert again.state.global_step == 5
    assert same(trained_weights(again), trained_weights(whole))


def test_only_the_checkpoints_that_are_kept_hold_what_it_takes_to_go_on(bench, tmp_path):
    trainer, _ = watched(bench, [Halve()], tmp_path, **SAVING, save_total_limit=1)
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-6"]
    assert (at(trainer, 6) / FILE).is_file()


def test_finished_weights_alone_cannot_be_resumed_from(bench, tmp_path):
    trainer, _ = watched(bench, [Halve()], tmp_path / "run", **SAVING, save_only_model=True)
    assert not (at(trainer, 2) / FILE).exists()
    with pytest.raises(SafeguardError, match="checkpoint-2: holds finished weights only"):
        watched(bench, [Halve()], tmp_path / "on", str(at(trainer, 2)))


def test_a_checkpoint_of_finished_weights_is_resumed_without_the_safeguard_from_those_in_training(bench, tmp_path):
    trainer, watcher = watched(bench, [Halve()], tmp_path / "run", **SAVING)
    _, plain = watched(bench, "none", tmp_path / "on", str(at(trainer, 2)))
    assert same(plain.steps[6], watcher.steps[6])


def test_modules_to_save_are_finished_and_saved(bench, tmp_path, monkeypatch):
    whole_head = LoraConfig(r=4, target_modules=["q_proj"], modules_to_save=["lm_head"], task_type="CAUSAL_LM")
    monkeypatch.setattr("bench.lora", lambda: whole_head)
    trainer, watcher = watched(bench, [Halve()], tmp_path / "run", **SAVING)
    assert any("lm_head" in name for name in watcher.steps[4])
    assert same(loaded(bench, at(trainer, 4)), halved(watcher.steps[4]))
    again, _ = watched(bench, [Halve()], tmp_path / "again", str(at(trainer, 4)))
    assert same(trained_weights(again), trained_weights(trainer))


def test_an_interrupted_training_can_be_saved_and_is_finished_then(bench, tmp_path):
    class Interrupt(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            if state.global_step == 3:
                raise KeyboardInterrupt

    trainer, watcher = bench.trainer([Halve()], tmp_path), Watcher()
    trainer.add_callback(watcher)
    trainer.add_callback(Interrupt())
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    trainer.save_model(str(tmp_path / "saved"))
    assert same(loaded(bench, tmp_path / "saved"), halved(watcher.steps[3]))


def test_a_model_without_proof_is_saved_before_the_error(bench, tmp_path):
    class Idler(Halve):
        def weights(self, model):
            pass

    trainer = bench.trainer([Idler()], tmp_path)
    with pytest.raises(NoEffectError, match=rf"no weight noticeably .the model is saved in {tmp_path}"):
        trainer.train()
    assert same(loaded(bench, tmp_path), trained_weights(trainer))


def test_weights_change_between_checkpoints(bench, tmp_path):
    """Or the tests above would compare nothing with nothing."""
    _, watcher = watched(bench, [Halve()], tmp_path)
    assert largest_difference(watcher.steps[2], watcher.steps[6]) > 1e-3


def test_predictions_are_those_of_the_model_that_is_handed_over(bench, tmp_path):
    trainer = bench.trainer([Halve()], tmp_path)
    with torch.no_grad():
        for weight in trainable(trainer.model).values():
            weight.normal_(std=0.2)
    assert trainer.predict(bench.rows[:2]).metrics["test_loss"] == trainer.evaluate()["eval_loss"]


def test_a_second_training_is_judged_by_itself(bench, tmp_path):
    """What was done before training, at construction, counts for both."""
    trainer = bench.train("interleave+kl", tmp_path)
    first, told = trainer.evidence, list(trainer.trace)
    trainer.train()
    assert trainer.evidence.passes == first.passes
    assert trainer.evidence.rows_by_source == first.rows_by_source
    assert len(trainer.trace) == len(told)
    assert trainer.evidence.changes == first.changes
