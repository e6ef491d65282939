"""Model and tokenizer as users hand them over, made into what the trainer works with, or refused in one line."""

from __future__ import annotations

from typing import Any

from peft import PeftModel
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from safeguards.config import SafeguardConfig
from safeguards.errors import SafeguardError
from safeguards.loading import load_model, load_tokenizer
from safeguards.reference import adapters


def as_model(model: Any, args: SafeguardConfig, quantization: Any = None) -> PreTrainedModel:
    """The model: as it was handed over, or loaded by its name with `model_init_kwargs`, in float32 unless they say.

    Raises:
        SafeguardError: if it is no causal LM without an adapter, or cannot be loaded.
    """
    if isinstance(model, nn.Module) and has_adapter(model):
        raise SafeguardError("the model has an adapter already; merge it (`merge_and_unload`) and give `peft_config`")
    if isinstance(model, PreTrainedModel):
        return model
    if not isinstance(model, str):
        raise SafeguardError(
            f"model: a {type(model).__name__} is no model; give a causal LM of transformers or its name"
        )
    settings = {"dtype": "float32", **(args.model_init_kwargs or {})}
    if quantization is not None:
        settings["quantization_config"] = quantization
    return load_model(AutoModelForCausalLM, model, f"model={model}", **settings)


def has_adapter(model: nn.Module) -> bool:
    """Whether a model carries an adapter, whoever put it there: `peft` around or within it, or transformers."""
    return isinstance(model, PeftModel) or bool(adapters(model))


def as_tokenizer(tokenizer: Any, model: PreTrainedModel, args: SafeguardConfig) -> PreTrainedTokenizerBase:
    """The tokenizer, by default the model's own, with the end-of-sequence token and the template that `args` name.

    Raises:
        SafeguardError: if it is no tokenizer, or cannot be loaded.
    """
    if tokenizer is None:
        name = model.config.name_or_path
        revision = (args.model_init_kwargs or {}).get("revision") or "main"
        tokenizer = load_tokenizer(name, f"processing_class: none given, and that of {name!r}", revision=revision)
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise SafeguardError(f"processing_class: a {type(tokenizer).__name__} is no tokenizer; give the model's own")
    if args.eos_token is not None:
        if args.eos_token not in tokenizer.get_vocab():
            raise SafeguardError(f"eos_token={args.eos_token}: is not in the tokenizer's vocabulary")
        tokenizer.eos_token = args.eos_token
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token  # as TRL would, but before safeguards draw answers to prepare
    if args.chat_template_path is not None:
        with open(args.chat_template_path, encoding="utf-8") as file:
            tokenizer.chat_template = file.read()
    return tokenizer
