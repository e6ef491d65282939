"""Edits of the residual stream."""

from __future__ import annotations

import pytest
import torch
from peft import get_peft_model

from safeguards import SafeguardError
from safeguards.activations import adding, removing
from safeguards.model import Capture

IDS = torch.arange(3, 9)[None]


def hidden_states(model) -> tuple[torch.Tensor, ...]:
    """What each layer is given, and what follows the final norm; `test_step` compares it with `hidden_states`."""
    capture = Capture(model.eval(), (0, 1, 2))
    with torch.no_grad(), capture.recording():
        model(input_ids=IDS)
    return tuple(capture.states[layer] for layer in range(3))


@pytest.mark.parametrize("layer", [0, 1])
def test_layer_l_is_where_hidden_states_l_change_by_exactly_the_dose(model, layer):
    """The convention of the whole library: what was found in `hidden_states[L]` is added there, not a layer off."""
    vector = torch.randn(32)
    before = hidden_states(model)
    with adding(layer, vector, 3.0).applied(model):
        after = hidden_states(model)
    torch.testing.assert_close(after[layer], before[layer] + 3.0 * vector, rtol=0, atol=1e-5)
    for earlier in range(layer):
        assert torch.equal(after[earlier], before[earlier])
    assert not torch.allclose(after[layer + 1], before[layer + 1])


def test_layer_l_is_the_output_of_decoder_layer_l_minus_1(model):
    vector = torch.randn(32)
    with adding(1, vector, 3.0).applied(model):
        edited = hidden_states(model)[2]
    handle = model.model.layers[0].register_forward_hook(lambda module, inputs, output: output + 3.0 * vector)
    torch.testing.assert_close(hidden_states(model)[2], edited)
    handle.remove()


def test_what_is_removed_is_gone_and_the_rest_stays(model):
    basis = torch.linalg.qr(torch.randn(32, 3)).Q
    before = hidden_states(model)[1]
    with removing(1, basis).applied(model):
        after = hidden_states(model)[1]
    torch.testing.assert_close(after @ basis, torch.zeros(1, 6, 3), atol=1e-5, rtol=0)
    rest = torch.eye(32) - basis @ basis.T
    torch.testing.assert_close(after @ rest, before @ rest, atol=1e-5, rtol=1e-5)


def test_gradients_pass_through_a_projection_and_not_along_it(model):
    basis = torch.linalg.qr(torch.randn(32, 2)).Q
    embedded = model.get_input_embeddings()(IDS).detach().requires_grad_()
    with removing(0, basis).applied(model):
        model(inputs_embeds=embedded).logits.square().sum().backward()
    assert embedded.grad.abs().max() > 1e-3
    torch.testing.assert_close(embedded.grad @ basis, torch.zeros(1, 6, 2), atol=1e-4, rtol=0)


def test_no_hook_is_left_even_after_an_error(model):
    before = hidden_states(model)
    edit = adding(0, torch.ones(32), 1.0)
    with pytest.raises(RuntimeError, match="on purpose"), edit.applied(model):
        raise RuntimeError("on purpose")
    assert torch.equal(hidden_states(model)[-1], before[-1])
    assert edit.firings == 0


def test_two_edits_of_one_layer_are_made_in_turn_and_seen_by_a_capture(model):
    vector = torch.ones(32)
    before = hidden_states(model)[1]
    capture = Capture(model, (1,))
    with adding(1, vector, 1.0).applied(model), adding(1, vector, 2.0).applied(model), capture.recording():
        model(input_ids=IDS)
    torch.testing.assert_close(capture.states[1], before + 3.0, rtol=0, atol=1e-5)


def test_firings_are_counted_and_movement_is_relative(model):
    edit = adding(1, torch.ones(32), 1e-3)
    with edit.applied(model):
        states = hidden_states(model)
        hidden_states(model)
    assert edit.firings == 2
    assert edit.moved == pytest.approx(1e-3 * (6 * 32) ** 0.5 / float(states[1].norm()), rel=1e-2)


def test_an_edit_reaches_a_model_under_an_adapter(model, lora):
    adapted, edit = get_peft_model(model, lora), adding(1, torch.ones(32), 1.0)
    with edit.applied(adapted):
        hidden_states(adapted)
    assert edit.firings == 1


@pytest.mark.parametrize("layer", [-1, 2])
def test_a_layer_out_of_range_is_named(model, layer):
    """Layer 2 of 2 comes after the final norm: it can be read but not edited."""
    with (
        pytest.raises(SafeguardError, match=f"layer {layer}: must be between 0 and 1 for this model of 2 layers"),
        adding(layer, torch.ones(32), 1.0).applied(model),
    ):
        pass
