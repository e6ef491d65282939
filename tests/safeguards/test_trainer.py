"""The trainer and its seams, on a tiny Qwen2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from datasets import Dataset
from peft import get_peft_model
from trl import SFTTrainer

from safeguards import NoEffectError, Safeguard, SafeguardError, SafeguardTrainer, Term, compose
from safeguards.encoding import MARKS, Collator, encode
from safeguards.methods.kl import KL
from safeguards.methods.kl import Settings as KLSettings
from safeguards.model import unwrap
from safeguards.rows import SAFE


def losses(trainer: SFTTrainer) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def logged(trainer: SFTTrainer, key: str) -> list[float]:
    return [entry[key] for entry in trainer.state.log_history if key in entry]


def adapter(trainer: SFTTrainer) -> dict[str, torch.Tensor]:
    return {name: w.detach().clone() for name, w in trainer.model.named_parameters() if "lora_" in name}


def assert_same_training(one: SFTTrainer, other: SFTTrainer, tolerance: float = 1e-6) -> None:
    assert losses(one) == pytest.approx(losses(other), abs=tolerance)
    for name, weight in adapter(one).items():
        torch.testing.assert_close(weight, adapter(other)[name], atol=tolerance, rtol=0, msg=name)


@pytest.fixture
def train(fresh_model, tokenizer, rows, pool, lora, settings):
    def run(safeguards, data=None, **changes) -> SafeguardTrainer:
        trainer = SafeguardTrainer(
            fresh_model(), settings(**changes), data or rows, tokenizer, safeguards, pool, peft_config=replace(lora)
        )
        trainer.train()
        return trainer

    return run


@pytest.fixture
def plain(fresh_model, tokenizer, rows, lora, settings):
    """TRL's own trainer on the same encoded rows."""
    data = Dataset.from_list([encode(tokenizer, row, 2048) for row in rows])
    trainer = SFTTrainer(
        fresh_model(),
        settings(dataset_kwargs={"skip_prepare_dataset": True}),
        train_dataset=data,
        processing_class=tokenizer,
        data_collator=lambda examples: {
            k: v for k, v in Collator(tokenizer.pad_token_id)(examples).items() if k not in MARKS
        },
        peft_config=replace(lora),
    )
    trainer.train()
    return trainer


def test_without_safeguards_it_is_sfttrainer(train, plain):
    assert_same_training(train("none"), plain)


@pytest.mark.parametrize(
    ("expression", "off"), [("kl", {"weight": 0.0}), ("interleave", {"share": 0.0}), ("interleave_ppl", {"share": 0.0})]
)
def test_weight_or_share_zero_is_sfttrainer(train, plain, expression, off):
    assert_same_training(train(compose(expression, {expression: off})), plain)


def test_a_term_of_weight_zero_that_is_computed_changes_nothing(train, plain):
    class Computed(KL):
        idle = False

    trainer = train([Computed(KLSettings(weight=0.0))], proof="off")
    assert_same_training(trainer, plain)
    assert max(logged(trainer, "safeguard/kl")) > 0


def test_8x1_and_1x8_accumulation_train_alike(train):
    whole = train("kl", per_device_train_batch_size=8, gradient_accumulation_steps=1, max_steps=4)
    split = train("kl", per_device_train_batch_size=1, gradient_accumulation_steps=8, max_steps=4)
    assert_same_training(whole, split, 2e-5)
    assert logged(whole, "grad_norm") == pytest.approx(logged(split, "grad_norm"), rel=1e-3)
    assert logged(whole, "safeguard/kl") == pytest.approx(logged(split, "safeguard/kl"), rel=1e-3, abs=1e-7)


class Penalty(Safeguard):
    """A penalty on the trainable weights, which belongs to no token."""

    name = "penalty"
    Settings: ClassVar[type] = KLSettings

    def loss(self, step):
        weights = [parameter for parameter in step.model.parameters() if parameter.requires_grad]
        return {"penalty": Term(step.once(sum(weight.square().sum() for weight in weights)), 1.0)}


def test_a_penalty_on_the_weights_counts_once_however_the_rows_are_split(train):
    alone = {"max_steps": 3, "learning_rate": 1e-3, "proof": "off"}
    whole = train([Penalty()], per_device_train_batch_size=8, gradient_accumulation_steps=1, **alone)
    split = train([Penalty()], per_device_train_batch_size=1, gradient_accumulation_steps=8, **alone)
    assert_same_training(whole, split, 2e-5)
    assert logged(whole, "grad_norm") == pytest.approx(logged(split, "grad_norm"), rel=1e-3)
    assert logged(whole, "safeguard/penalty") == pytest.approx(logged(split, "safeguard/penalty"), rel=1e-4)
    assert logged(whole, "grad_norm")[0] > 2 * logged(train("none", max_steps=1), "grad_norm")[0]


@pytest.mark.parametrize(
    ("returned", "complaint"),
    [
        (torch.tensor(1.0), "its loss returned a Tensor; return"),
        (None, "its loss returned a NoneType; return"),
        ({"x": torch.tensor(1.0)}, "its loss term 'x' is a Tensor; make it a Term"),
        ({"x": 0.3}, "its loss term 'x' is a float; make it a Term"),
        ({"x": (torch.tensor(1.0), 1.0)}, "its loss term 'x' is a tuple; make it a Term"),
        ({"x": Term(0.3, 1.0)}, "its loss term 'x' has a value of float"),
        ({"x": Term(torch.ones(3), 1.0)}, r"its loss term 'x' has a value of shape \(3,\)"),
        ({"x": Term(torch.tensor(1.0), float("nan"))}, "its loss term 'x' has the weight nan"),
        ({"x": Term(torch.tensor(1.0), None)}, "its loss term 'x' has the weight None"),
    ],
)
def test_a_loss_that_cannot_be_added_names_its_safeguard(train, returned, complaint):
    class Wrong(Penalty):
        def loss(self, step):
            return returned

    with pytest.raises(SafeguardError, match=f"^penalty: {complaint}"):
        train([Wrong()])


def test_kl_holds_the_model_back_the_more_the_heavier_it_is(train):
    ends = [logged(train([KL(KLSettings(weight=w))], max_steps=12), "safeguard/kl")[-1] for w in (0.1, 3.0)]
    assert 0 < ends[1] < 0.7 * ends[0]


def test_the_logged_kl_is_that_of_the_two_models(train, tokenizer, fresh_model, rows):
    """The divergence at the last step, once more by hand: two models, all logits, one answer token at a time."""
    trainer = train([KL(KLSettings(weight=1.0))], learning_rate=0.05, max_steps=2, per_device_train_batch_size=16)
    batch = Collator(tokenizer.pad_token_id)([encode(tokenizer, row, 2048) for row in trainer.rows])
    # What step 2 saw is the model after step 1, so train one step only for the comparison by hand.
    before = train(
        [KL(KLSettings(weight=1.0))], learning_rate=0.05, max_steps=1, proof="off", per_device_train_batch_size=16
    )
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        own = before.model.eval()(**inputs).logits.log_softmax(-1)
        aligned = fresh_model().eval()(**inputs).logits.log_softmax(-1)
    answered = batch["labels"][:, 1:] != -100
    expected = (own.exp() * (own - aligned)).sum(-1)[:, :-1][answered].mean()
    assert logged(trainer, "safeguard/kl")[1] == pytest.approx(float(expected), rel=1e-4)


def test_base_weights_are_untouched_by_training(train, fresh_model):
    trainer = train("kl")
    start = dict(fresh_model().named_parameters())
    for name, weight in unwrap(trainer.model).named_parameters():
        if "lora_" not in name:
            assert torch.equal(weight, start[name.replace(".base_layer", "")]), name


def test_gradient_checkpointing_trains_alike(train):
    assert_same_training(train("kl"), train("kl", gradient_checkpointing=True), 1e-5)


def test_full_fine_tuning_uses_a_frozen_copy_as_reference(fresh_model, tokenizer, rows, settings):
    trainer = SafeguardTrainer(fresh_model(), settings(learning_rate=1e-3), rows, tokenizer, "kl")
    trainer.train()
    assert logged(trainer, "safeguard/kl")[0] == pytest.approx(0, abs=1e-6)
    assert logged(trainer, "safeguard/kl")[-1] > 1e-4


def test_evaluation_has_no_safeguard_terms(fresh_model, tokenizer, rows, lora, settings):
    trainers = []
    for safeguards in ("none", [KL(KLSettings(weight=100.0))]):
        trainer = SafeguardTrainer(
            fresh_model(),
            settings(learning_rate=0.0),
            rows,
            tokenizer,
            safeguards,
            peft_config=replace(lora),
            eval_dataset=Dataset.from_list([{"messages": row.messages} for row in rows]),
        )
        trainer.model.get_submodule("base_model.model.model.layers.0.mlp.up_proj.lora_B.default").weight.data.fill_(0.1)
        trainers.append(trainer.evaluate()["eval_loss"])
    assert trainers[0] == trainers[1]


# Seams ----------------------------------------------------------------------------------------------------------------


@dataclass
class Nothing:
    """No settings."""


class Recorder(Safeguard):
    """Writes down when each of its seams is reached."""

    name = "recorder"
    Settings: ClassVar[type] = Nothing
    needs_reference = True

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def prepare(self, run):
        self.seen.append("prepare")

    def rows(self, rows):
        self.seen.append("rows")
        return rows

    def prompt(self, messages):
        self.seen.append("prompt") if self.seen[-1] != "prompt" else None
        return messages

    @contextmanager
    def active(self, model) -> Iterator[None]:
        self.seen.append("enter")
        yield
        self.seen.append("leave")

    def loss(self, step):
        assert step.reference.hidden.shape == step.trained.hidden.shape
        self.seen.append("loss")
        return {"pull": Term(step.mean(step.trained.hidden.pow(2).sum(-1)), 1e-3)}

    def gradient(self, model, step, reference):
        self.seen.append("gradient")

    def weights(self, model):
        self.seen.append("weights")


def test_seams_are_reached_in_the_order_the_docstring_tells(train):
    recorder = Recorder()
    train([recorder], max_steps=2, gradient_accumulation_steps=2, proof="off")
    # The reference pass inside a micro-batch leaves `active` and enters it again.
    micro_batch = ["enter", "leave", "enter", "loss", "leave"]
    step = [*micro_batch, *micro_batch, "gradient"]
    assert recorder.seen == ["prepare", "rows", "prompt", *step, *step, "weights"]


def test_the_gradient_seam_acts_before_the_update(train, fresh_model, tokenizer, rows, lora, settings):
    class Freeze(Recorder):
        def gradient(self, model, step, reference):
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.grad.zero_()

    trainer = train([Freeze()], weight_decay=0.0, proof="off")
    untrained = SafeguardTrainer(fresh_model(), settings(), rows, tokenizer, peft_config=replace(lora))
    for name, weight in adapter(trainer).items():
        assert torch.equal(weight, adapter(untrained)[name]), name


def test_the_prompt_seam_spares_safe_rows(fresh_model, tokenizer, rows, pool, lora, settings):
    class Shout(Recorder):
        def prompt(self, messages):
            return [{**m, "content": m["content"].upper()} for m in messages]

    trainer = SafeguardTrainer(
        fresh_model(),
        settings(),
        rows,
        tokenizer,
        [*compose("interleave", {"interleave": {"share": 0.5}}), Shout()],
        pool,
        peft_config=replace(lora),
    )
    shouted = {row.source == SAFE: row.messages[0]["content"].isupper() for row in trainer.rows}
    assert shouted == {True: False, False: True}


def test_hooks_entered_by_active_do_not_reach_the_reference(train):
    class Noise(Recorder):
        @contextmanager
        def active(self, model):
            handle = unwrap(model).model.layers[0].register_forward_hook(lambda m, a, out: out + 1.0)
            yield
            handle.remove()

        def loss(self, step):
            self.distances.append(float((step.reference.hidden - step.trained.hidden).detach().abs().max()))
            self.references.append(step.reference.hidden.sum())
            return {}

    noisy, quiet = Noise(), Noise()
    quiet.active = Safeguard.active.__get__(quiet)
    for safeguard in (noisy, quiet):
        safeguard.distances, safeguard.references = [], []
        train([safeguard], learning_rate=0.0, max_steps=1, proof="off")
    assert noisy.references == quiet.references
    assert quiet.distances[0] == pytest.approx(0, abs=1e-5)
    assert noisy.distances[0] > 0.1


# Errors and proof -----------------------------------------------------------------------------------------------------


class Detached(Recorder):
    """The defect of published LDIFS code: a penalty without gradient."""

    def loss(self, step):
        return {"penalty": Term(step.mean(step.trained.hidden.detach().pow(2).sum(-1)), 1.0)}


def test_a_term_without_gradient_is_an_error(train):
    with pytest.raises(NoEffectError, match="'penalty' never had a gradient"):
        train([Detached()])


def test_the_error_can_be_made_a_warning(train, capsys):
    trainer = train([Detached()], proof="warn")
    assert "never had a gradient" in capsys.readouterr().out
    assert any("never had a gradient" in line for line in trainer.trace)


def test_kl_proves_its_effect(train):
    assert train("kl").evidence.gradient_shares["kl"]["kl"]["median"] > 1e-3


def test_rounding_noise_is_no_proof(train):
    """At the start the divergence has no gradient but the rounding's; a model that never leaves it proves nothing."""
    with pytest.raises(NoEffectError, match="'kl' never had a gradient worth"):
        train("kl", learning_rate=0.0)


def test_a_safeguard_that_was_never_seen_to_act_is_an_error(train):
    class Silent(Recorder):
        def loss(self, step):
            return {}

    with pytest.raises(NoEffectError, match="never seen to add a term"):
        train([Silent()])
    with pytest.raises(NoEffectError, match="never had a gradient"):
        train("kl", max_steps=1)


def test_a_model_with_an_adapter_is_refused(fresh_model, tokenizer, rows, lora, settings):
    with pytest.raises(SafeguardError, match="has an adapter already; merge it"):
        SafeguardTrainer(get_peft_model(fresh_model(), lora), settings(), rows, tokenizer)


def test_a_mistyped_proof_is_refused(settings):
    with pytest.raises(SafeguardError, match="proof=eror: must be one of error, warn, off"):
        settings(proof="eror")


def test_a_nan_loss_stops_with_the_step_and_a_remedy(train):
    class Poison(Recorder):
        def loss(self, step):
            return {"poison": Term(step.mean(step.trained.hidden.sum(-1)) * float("nan"), 1.0)}

    with pytest.raises(FloatingPointError, match="loss is nan at step 0; lower"):
        train([Poison()], proof="off")


def test_rows_without_answer_tokens_are_named(train):
    with pytest.raises(SafeguardError, match="no answer token is left within 8 tokens"):
        train("none", max_length=8)


def test_a_dataset_without_messages_is_refused(train):
    with pytest.raises(SafeguardError, match=r"train_dataset row 0: needs messages, .*, has body"):
        train("none", data=Dataset.from_list([{"body": "hello"}]))


def test_a_dataset_of_messages_trains_like_rows(train, rows):
    assert_same_training(train("none"), train("none", data=Dataset.from_list([{"messages": r.messages} for r in rows])))
