"""Whatever is trained, the reference stays the aligned model."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from safeguards.methods.kl import chunked_kl_divergence, kl_divergence
from safeguards.model import hidden_states, token_logits, unwrap
from safeguards.reference import Reference
from safeguards.step import Step

IDS = torch.randint(3, 60, (2, 9), generator=torch.Generator().manual_seed(0))
BATCH = {
    "input_ids": IDS,
    "attention_mask": torch.ones_like(IDS),
    "labels": IDS,
    "row_source": torch.zeros(2, dtype=torch.long),
    "row_harm": torch.zeros(2),
}
SMALL = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.2,
}
ALL = ["q_proj", "v_proj", "o_proj", "down_proj"]
WAYS = {
    "linear": {"target_modules": "all-linear"},
    "head alone": {"target_modules": ["lm_head"]},
    "head and layers": {"target_modules": [*ALL, "lm_head"]},
    "embeddings": {"target_modules": [*ALL, "embed_tokens"]},
    "embeddings and head": {"target_modules": ["embed_tokens", "lm_head"]},
    "head in full": {"target_modules": ALL, "modules_to_save": ["lm_head"]},
    "embeddings in full": {"target_modules": ALL, "modules_to_save": ["embed_tokens"]},
    "norms in full": {"target_modules": ALL, "modules_to_save": ["input_layernorm", "norm"]},
    "some tokens": {"target_modules": ALL, "trainable_token_indices": [3, 4, 5]},
    "tied weights": {"target_modules": [*ALL, "embed_tokens"], "ensure_weight_tying": True},
    "all biases": {"target_modules": ALL, "bias": "all"},
    "biases of the adapted": {"target_modules": ALL, "bias": "lora_only"},
    "biases of the update": {"target_modules": ALL, "lora_bias": True},
    "DoRA": {"target_modules": [*ALL, "lm_head"], "use_dora": True},
    "dropout": {"target_modules": [*ALL, "lm_head"], "lora_dropout": 0.5},
}


def model_of(tied: bool) -> PreTrainedModel:
    torch.manual_seed(0)
    return Qwen2ForCausalLM(Qwen2Config(**SMALL, tie_word_embeddings=tied)).eval()


def own_logits(model: PreTrainedModel) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=IDS, attention_mask=BATCH["attention_mask"], use_cache=False).logits


def trained(model: torch.nn.Module) -> None:
    """A few steps away from the reference, which is asked in between as a penalty would ask it."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=0.02)
    for _ in range(4):
        optimizer.zero_grad()
        model.train()(input_ids=IDS, labels=IDS, attention_mask=BATCH["attention_mask"]).loss.backward()
        optimizer.step()


def reference_logits(reference: Reference) -> torch.Tensor:
    with reference.as_model() as aligned:
        hidden = hidden_states(aligned, BATCH)[2]
    return reference.head(hidden)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_after_training_it_is_the_untouched_model_bit_for_bit(way, tied):
    model = model_of(tied)
    aligned = copy.deepcopy(model)
    adapted = get_peft_model(model, LoraConfig(r=4, task_type="CAUSAL_LM", **WAYS[way]))
    reference = Reference(adapted)
    trained(adapted)
    before = {name: (weight.clone(), weight.requires_grad) for name, weight in adapted.named_parameters()}
    assert torch.equal(reference_logits(reference), token_logits(aligned, hidden_states(aligned, BATCH)[2]))
    assert not torch.allclose(own_logits(unwrap(adapted)), own_logits(aligned), atol=1e-2)
    for name, weight in adapted.named_parameters():  # and everything is as it was before the reference was asked
        assert torch.equal(weight, before[name][0]), name
        assert weight.requires_grad == before[name][1], name


def test_full_fine_tuning():
    model = model_of(tied=False)
    aligned, reference = copy.deepcopy(model), Reference(model)
    trained(model)
    assert torch.equal(reference_logits(reference), token_logits(aligned, hidden_states(aligned, BATCH)[2]))


def test_experts_that_are_parameters_and_not_layers():
    torch.manual_seed(0)
    config = MixtralConfig(**SMALL, num_local_experts=4, num_experts_per_tok=2)
    model = MixtralForCausalLM(config).eval()
    aligned = copy.deepcopy(model)
    experts = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules=ALL, target_parameters=experts))
    reference = Reference(adapted)
    trained(adapted)
    assert torch.equal(reference_logits(reference), token_logits(aligned, hidden_states(aligned, BATCH)[2]))


@pytest.mark.parametrize("way", ["head alone", "head in full", "all biases", "DoRA"])
def test_the_divergence_is_that_of_the_two_models(way):
    """With an adapter on the head alone, hidden states are equal, and a head that is adapted too says 0."""
    model = model_of(tied=False)
    aligned = copy.deepcopy(model)
    adapted = get_peft_model(model, LoraConfig(r=4, task_type="CAUSAL_LM", **WAYS[way]))
    reference = Reference(adapted)
    trained(adapted)
    own, other = own_logits(unwrap(adapted))[:, :-1], own_logits(aligned)[:, :-1]
    expected = kl_divergence(own.flatten(0, 1), other.flatten(0, 1))
    assert expected.mean() > 0.01
    step = Step.of(adapted, BATCH, reference)
    for chunk in (3, 1000):
        found = chunked_kl_divergence(
            step.trained.hidden, step.reference.hidden, step.trained.head, reference.head, chunk
        )
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
        gradients = torch.autograd.grad(
            found.mean(), [w for w in adapted.parameters() if w.requires_grad], retain_graph=True, allow_unused=True
        )
        assert any(g is not None and g.norm() > 1e-5 for g in gradients)


def test_no_weight_in_low_precision_is_kept_from_the_model_in_training():
    """Inside autocast, casts of trained weights are kept: the reference must not be given those."""
    model = model_of(tied=False)
    aligned = copy.deepcopy(model)
    adapted = get_peft_model(model, LoraConfig(r=4, task_type="CAUSAL_LM", **WAYS["all biases"]))
    reference = Reference(adapted)
    trained(adapted)
    with torch.autocast("cpu", torch.bfloat16):
        hidden_states(adapted.eval(), BATCH)
        found = reference_logits(reference)
        expected = token_logits(aligned, hidden_states(aligned, BATCH)[2])
    assert torch.equal(found, expected)


@pytest.mark.parametrize("adapter", [True, False], ids=["adapter", "frozen copy"])
def test_there_is_no_dropout_in_it_while_the_model_is_in_training(adapter):
    aligned = GPT2LMHeadModel(GPT2Config(vocab_size=60, n_embd=16, n_layer=2, n_head=2, resid_pdrop=0.5))
    with torch.no_grad():
        (expected,) = hidden_states(aligned.eval(), BATCH).values()
    aligned.train()
    lora = LoraConfig(target_modules="all-linear", fan_in_fan_out=True, task_type="CAUSAL_LM")
    model = get_peft_model(aligned, lora).train() if adapter else aligned
    with Reference(model).as_model() as reference:
        (found,) = hidden_states(reference, BATCH).values()
    assert torch.equal(found, expected)
    assert model.training
