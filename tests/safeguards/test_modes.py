"""Evaluation that keeps gradient checkpointing on."""

from __future__ import annotations

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from safeguards import Row
from safeguards.generation import draw_answers
from safeguards.likelihood import answer_nll
from safeguards.methods.treft import prefix_states
from safeguards.model import check_blocks, check_head
from safeguards.modes import evaluating, without_dropout
from safeguards.states import answer_states
from safeguards.support import logits_of

IDS = torch.arange(64).reshape(4, 16) % 50


def model_of(layers: int, checkpointing: bool) -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}
    model = Qwen2ForCausalLM(Qwen2Config(vocab_size=50, num_hidden_layers=layers, attention_dropout=0.5, **sizes))
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model.train()


def saved_elements(model: Qwen2ForCausalLM) -> int:
    """How many numbers a forward pass keeps for the backward pass, weights aside."""
    weights = {weight.data_ptr() for weight in model.parameters()}
    saved = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in weights:
            saved[tensor.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.get_decoder()(IDS, use_cache=False)
    return sum(tensor.numel() for tensor in saved.values())


def test_checkpointing_stays_on():
    """Per layer, its input is kept and nothing else."""
    in_training = saved_elements(model_of(8, True))
    with without_dropout(model := model_of(8, True)):
        assert saved_elements(model) == in_training
    assert saved_elements(model_of(8, True).eval()) > 5 * in_training


@pytest.mark.parametrize("checkpointing", [True, False])
def test_nothing_is_dropped_and_gradients_are_those_of_evaluation(checkpointing):
    model = model_of(2, checkpointing)
    expected = torch.autograd.grad(model.eval()(IDS, use_cache=False).logits.square().sum(), list(model.parameters()))
    model.train()
    with without_dropout(model):
        found = torch.autograd.grad(model(IDS, use_cache=False).logits.square().sum(), list(model.parameters()))
    for own, other in zip(found, expected, strict=True):
        torch.testing.assert_close(own, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("mode", [evaluating, without_dropout])
def test_every_module_is_as_it_was(mode):
    model = model_of(2, True)
    model.get_decoder().norm.eval()
    before = [module.training for module in model.modules()]
    with pytest.raises(KeyError), mode(model):
        raise KeyError
    assert [module.training for module in model.modules()] == before


ROWS = [Row([{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Why not?"}])]
LOOKS = {
    "answers": lambda model, tokenizer: draw_answers(model, tokenizer, [ROWS[0].messages[:1]], max_new_tokens=2),
    "likelihoods": lambda model, tokenizer: answer_nll(model, tokenizer, ROWS),
    "states": lambda model, tokenizer: answer_states(model, tokenizer, ROWS, 1),
    "head": lambda model, _: check_head(model),
    "layers": lambda model, _: check_blocks(model),
    "logits": lambda model, _: logits_of(model),
    "prefix": lambda model, _: prefix_states(model, [1, 2]),
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("fails", [False, True])
def test_whoever_looks_at_a_model_leaves_it_in_its_modes(look, fails, fresh_model, tokenizer):
    """Whoever goes on after running out of memory would train without dropout from then on."""
    model = fresh_model().train()
    before = [module.training for module in model.modules()]

    def fail(module, arguments, keywords):
        raise MemoryError

    if fails:
        model.get_decoder().layers[-1].register_forward_pre_hook(fail, with_kwargs=True)
        with pytest.raises(MemoryError):
            LOOKS[look](model, tokenizer)
    else:
        LOOKS[look](model, tokenizer)
    assert [module.training for module in model.modules()] == before
