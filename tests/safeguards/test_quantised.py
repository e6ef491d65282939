"""A base in 4 bits: every safeguard acts on it, or is refused by name; its weights stay what they were."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest
import torch
from bench import TABLE, Bench, logged, trained_weights
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedModel

from safeguards import registry
from safeguards.errors import SafeguardError
from safeguards.model import unwrap
from safeguards.modes import evaluating
from safeguards.quantised import keep_weights, nf4_settings, refuse_missing

pytest.importorskip("bitsandbytes", reason="bitsandbytes has no build for this platform")

ACTING = [name for name in TABLE if not registry()[name].reads_weights]
IDS = torch.arange(20)[None]


@dataclass
class QuantisedBench(Bench):
    def model(self) -> PreTrainedModel:
        settings = {"quantization_config": nf4_settings(), "device_map": {"": "cpu"}, "dtype": torch.bfloat16}
        return AutoModelForCausalLM.from_pretrained(self.folder / "model", **settings)

    def aligned(self) -> PreTrainedModel:
        """The model before training, which looking does not change."""
        model = self.model()
        keep_weights(model)
        return model


@pytest.fixture(scope="module")
def quantised(bench) -> QuantisedBench:
    return QuantisedBench(bench.folder)


@pytest.fixture(scope="module")
def plain_weights(quantised, tmp_path_factory):
    return trained_weights(quantised.train("none", tmp_path_factory.mktemp("none"), gradient_checkpointing=True))


@pytest.fixture(autouse=True)
def any_leaning(monkeypatch):
    """What a prompt elicits from quantised random weights may be nothing, by the rounding of a machine."""
    monkeypatch.setattr("safeguards.persona.NOTICEABLE_LEANING", float("-inf"))


def kept(model: PreTrainedModel) -> dict[str, bytes]:
    """The bytes of the base, quantised or not, its scales among them."""
    state = unwrap(model).state_dict()
    return {
        name.replace(".base_layer", ""): tensor.detach().view(torch.uint8).numpy().tobytes()
        for name, tensor in state.items()
        if "lora_" not in name
    }


def said(model: PreTrainedModel) -> torch.Tensor:
    with evaluating(model), torch.no_grad():
        return model(input_ids=IDS).logits.float()


@pytest.mark.parametrize("name", ACTING)
def test_a_safeguard_proves_its_effect_on_a_base_that_stays_byte_identical(quantised, plain_weights, tmp_path, name):
    start = quantised.aligned()
    trainer = quantised.train(name, tmp_path, gradient_checkpointing=True)  # raises without proof of effect
    assert trainer.missing == []
    own = trained_weights(trainer)
    assert max(float((own[key] - weight).abs().max()) for key, weight in plain_weights.items()) > 1e-3
    assert kept(trainer.model) == kept(start)
    with trainer.model.disable_adapter():
        assert torch.equal(said(trainer.model), said(start)), "the reference is the quantised aligned model"


@pytest.mark.parametrize("name", sorted(set(TABLE) - set(ACTING)))
def test_a_safeguard_that_reads_weights_is_refused_by_name(quantised, tmp_path, name):
    with pytest.raises(SafeguardError, match=rf"^{name}: reads full weights, and those .* quantised .*; load it unq"):
        quantised.trainer(name, tmp_path)


def test_it_is_learnt_and_what_is_saved_answers_alike(quantised, tmp_path):
    trainer = quantised.train("kl", tmp_path)
    assert logged(trainer, "loss")[-1] < logged(trainer, "loss")[0]
    trainer.save_model(str(tmp_path / "adapter"))
    loaded = PeftModel.from_pretrained(quantised.aligned(), tmp_path / "adapter", autocast_adapter_dtype=False)
    torch.testing.assert_close(said(loaded), said(trainer.model), atol=0.05, rtol=0)
    assert not torch.allclose(said(loaded), said(quantised.aligned()), atol=0.5)


def test_no_pass_in_evaluation_changes_a_quantised_weight(quantised):
    model = quantised.aligned()
    for module in model.modules():  # as on a processor that has such units
        assert getattr(module, "support_avx512bf16_for_cpu", False) is False
    before = [parameter.detach().clone() for parameter in model.parameters()]
    said(model)
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def test_without_the_extra_it_is_told_in_one_line(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SafeguardError, match=r"^x: needs the bitsandbytes package; pip install '\.\[nf4\]'$"):
        refuse_missing("x")
    assert "bitsandbytes" in sys.modules
