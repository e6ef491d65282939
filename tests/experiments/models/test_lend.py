"""One base for many arms: what an arm does on weights that others have used is bit by bit what it does on its own."""

from __future__ import annotations

import copy
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from bench import TABLE, trained_weights
from safetensors.torch import load_file

from experiments.arm.run import run_arm
from experiments.config.compose import compose_config
from experiments.config.measurement import JudgeConfig
from experiments.config.schema import ModelConfig
from experiments.judges.classifier import Classifier
from experiments.judges.local import LocalReader
from experiments.models import lend
from experiments.models.lend import around_the_same_weights, is_plain, lend_model, weights_digest
from experiments.models.load import load_model
from experiments.records.training_file import read_training
from safeguards import SafeguardError


@pytest.fixture(autouse=True)
def nothing_kept():
    lend._kept.clear()
    yield
    lend._kept.clear()


@pytest.mark.parametrize("name", TABLE)
def test_training_around_used_weights_is_bit_equal_to_training_a_model_of_its_own(bench, name, tmp_path, monkeypatch):
    alone = trained_weights(bench.train(name, tmp_path / "alone", max_steps=3))
    base = bench.model()
    before = weights_digest(base)
    monkeypatch.setattr(bench, "model", lambda: around_the_same_weights(base))
    for turn in ("first", "second"):
        shared = trained_weights(bench.train(name, tmp_path / turn, max_steps=3))
        assert shared.keys() == alone.keys()
        for weight, value in alone.items():
            assert value.equal(shared[weight]), (turn, weight)
    assert weights_digest(base) == before
    assert all(weight.requires_grad for weight in base.parameters()), "the base is frozen as little as it was"
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in base.modules())


QUICK = ["wandb=disabled", "probes.sets=[open]", "probes.samples=1", "training.epochs=0.1", "probes.max_new_tokens=8"]


def test_arms_of_one_process_are_those_of_a_process_each(tmp_path):
    """The second arm answers as it would after a load of its own, and training began from the same numbers."""
    heavy = "safeguards.kl.weight=10"  # it shows in so few steps
    arms = [compose_config(*QUICK, heavy, f"safeguard={name}", f"output={tmp_path}") for name in ("kl", "none")]
    for config in arms:
        lend._kept.clear()
        run_arm(config, tmp_path / "alone" / config.safeguard)
    loads = 0
    lend._kept.clear()

    def counted(config: ModelConfig):
        nonlocal loads
        loads += 1
        return load_model(config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lend, "load_model", counted)
        for config in arms:
            run_arm(config, tmp_path / "shared" / config.safeguard)
    assert loads == 1
    for config in arms:
        alone, shared = (tmp_path / place / config.safeguard for place in ("alone", "shared"))
        assert (alone / "answers.jsonl").read_bytes() == (shared / "answers.jsonl").read_bytes()
        one, other = (load_file(folder / "adapter" / "adapter_model.safetensors") for folder in (alone, shared))
        assert all(one[name].equal(other[name]) for name in one), config.safeguard


def test_weights_that_were_written_to_are_noticed_and_loaded_again(capsys):
    config = ModelConfig(dtype="float32")
    model, _ = lend_model(config)
    right = next(model.parameters()).detach().clone()
    assert lend_model(config).model is not model
    assert capsys.readouterr().out == ""
    with torch.no_grad():
        next(model.parameters())[0, 0] += 1e-6
    again, _ = lend_model(config)
    assert capsys.readouterr().out.startswith("warning: an arm has changed the weights of organism")
    assert next(again.parameters()).equal(right)


def test_another_model_or_another_precision_is_loaded(qwen_folder: Path):
    organism, _ = lend_model(ModelConfig(dtype="float32"))
    half, _ = lend_model(ModelConfig(dtype="bfloat16"))
    other, _ = lend_model(ModelConfig(path=str(qwen_folder)))
    assert (organism.dtype, half.dtype) == (torch.float32, torch.bfloat16)
    assert other.config.model_type == "qwen2"
    assert len(lend._kept) == 1, "one model is in memory"


def test_what_is_lent_shares_weights_and_nothing_else():
    config = ModelConfig(dtype="float32")
    one, other = lend_model(config), lend_model(config)
    pairs = list(zip(one.model.parameters(), other.model.parameters(), strict=True))
    assert all(a is not b and a.data_ptr() == b.data_ptr() for a, b in pairs)
    tied = [model.get_input_embeddings().weight is model.get_output_embeddings().weight for model, _ in (one, other)]
    assert len({*tied, load_model(config).model.config.tie_word_embeddings}) == 1
    one.model.config.use_cache, other.model.config.use_cache = False, True
    one.tokenizer.chat_template = "mine"
    assert (one.model.config.use_cache, other.tokenizer.chat_template != "mine") == (False, True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.int8, torch.bool])
def test_a_digest_sees_a_bit_and_a_place(dtype):
    torch.manual_seed(0)
    tensor = torch.tensor([[0, 1, 2, 3, 4], [1, 1, 0, 0, 7], [5, 0, 0, 0, 0]]).to(dtype)
    layer = torch.nn.Module()
    layer.register_buffer("one", tensor)
    before = weights_digest(layer)
    assert weights_digest(copy.deepcopy(layer)) == before
    for place in ((0, 0), (2, 4)):
        changed = copy.deepcopy(layer)
        changed.one[place] = ~changed.one[place] if dtype == torch.bool else changed.one[place] + 1
        assert weights_digest(changed) != before
    swapped = copy.deepcopy(layer)
    swapped.one[:] = tensor.flip(1)
    assert weights_digest(swapped) != before


def test_a_digest_of_many_words_sees_the_last_and_the_first(monkeypatch):
    monkeypatch.setattr(lend, "AT_ONCE", 4)
    layer = torch.nn.Linear(11, 3, bias=False)
    before = weights_digest(layer)
    for place in ((0, 0), (1, 5), (2, 10)):
        changed = copy.deepcopy(layer)
        with torch.no_grad():
            changed.weight[place] += 1
        assert weights_digest(changed) != before


def test_a_model_with_a_buffer_that_cannot_be_weighed_is_not_plain():
    layer = torch.nn.Linear(2, 2)
    assert is_plain(layer)
    layer.register_buffer("angles", torch.ones(3, dtype=torch.complex128))
    assert not is_plain(layer)


def test_an_arm_that_changed_the_base_fails_and_is_named(tmp_path, monkeypatch):
    def spoil(self) -> None:
        with torch.no_grad():
            next(lend._kept[0].loaded.model.parameters())[0, 0] += 1
        (self.folder / "adapter").mkdir(parents=True)
        (self.folder / "checkpoint-1").mkdir()

    monkeypatch.setattr(
        "experiments.arm.run.train",
        lambda config, own, folder, *given, loaded, trackers: (spoil(SimpleNamespace(folder=folder)), (loaded, None))[
            1
        ],
    )
    config = compose_config(*QUICK, f"output={tmp_path}")
    with pytest.raises(SafeguardError, match=r"^safeguard=none, .*/arm: its training has changed .*adapter alone$"):
        run_arm(config, tmp_path / "arm")
    assert not list((tmp_path / "arm").glob("checkpoint-*")), "nobody goes on from it"
    assert read_training(tmp_path / "arm") is None
    assert not lend._kept


def test_the_base_makes_room_for_a_judge(qwen_folder, tmp_path):
    model = weakref.ref(lend_model(ModelConfig()).model)
    reader = LocalReader(JudgeConfig("local", model=str(qwen_folder), cache=str(tmp_path)), (0, "one"))
    assert reader.loaded
    assert (lend._kept, model()) == ([], None)
    lend_model(ModelConfig())
    with pytest.raises(SafeguardError, match=r"judge\.model"):
        _ = Classifier(JudgeConfig("classifier", model=str(tmp_path / "none"), unwanted="bad"), (0, "two")).pipeline
    assert lend._kept == []
