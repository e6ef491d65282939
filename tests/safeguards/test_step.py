"""What a micro-batch shares."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GraniteConfig,
    GraniteForCausalLM,
)
from transformers.modeling_outputs import CausalLMOutput

from safeguards import SafeguardError
from safeguards.model import Capture, check_head
from safeguards.step import Pass

SMALL = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "initializer_range": 0.5,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def test_layers_are_counted_as_hidden_states_are(model):
    ids = torch.arange(5)[None]
    layers = (0, 1, 2)
    capture = Capture(model.eval(), layers)
    with torch.no_grad(), capture.recording():
        states = model(input_ids=ids, output_hidden_states=True).hidden_states
    for layer in layers:
        torch.testing.assert_close(capture.states[layer], states[layer])
    with pytest.raises(SafeguardError, match="layer 3: must be between 0 and 2"):
        Capture(model, (3,))


def test_recording_leaves_no_hook_behind(model):
    capture = Capture(model, (0, 1, 2))
    with capture.recording():
        pass
    model(input_ids=torch.arange(3)[None])
    assert capture.states == {}


def test_a_layer_that_was_not_asked_for_is_named(model):
    capture = Capture(model)
    with capture.recording():
        model(input_ids=torch.arange(3)[None])
    passed = Pass(model, capture.states, torch.ones(1, 2, dtype=torch.bool))
    assert passed.hidden.shape == (2, 32)
    with pytest.raises(KeyError, match="layer 1 was not recorded"):
        passed.features(1)


def test_softcapped_logits_are_the_models_own():
    torch.manual_seed(0)
    model = Gemma2ForCausalLM(Gemma2Config(**SMALL, final_logit_softcapping=2.0)).eval()
    ids = torch.arange(6)[None]
    capture = Capture(model)
    with torch.no_grad(), capture.recording():
        logits = model(input_ids=ids).logits
    passed = Pass(model, capture.states, torch.ones(1, 5, dtype=torch.bool))
    torch.testing.assert_close(passed.logits, logits[0, :-1])
    check_head(model)


def test_scaled_logits_are_the_models_own():
    small = {key: value for key, value in SMALL.items() if key != "head_dim"}
    check_head(CohereForCausalLM(CohereConfig(**small, logit_scale=0.25)))
    check_head(GraniteForCausalLM(GraniteConfig(**small, logits_scaling=4.0)))


def test_an_architecture_that_does_more_to_its_logits_is_refused(model):
    model.register_forward_hook(lambda module, arguments, output: CausalLMOutput(logits=3 * output.logits))
    with pytest.raises(SafeguardError, match="Qwen2ForCausalLM: changes its logits after the head"):
        check_head(model)


def test_a_decoder_with_other_names_inside_will_do():
    """GPT-2 calls its layers `h`; only a safeguard that reads inner layers needs to know."""
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=40, n_embd=16, n_layer=2, n_head=2))
    capture = Capture(gpt2)
    with capture.recording():
        gpt2(input_ids=torch.arange(3)[None])
    assert capture.states[2].shape == (1, 3, 16)
    check_head(gpt2)
