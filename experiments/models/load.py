"""Load a causal LM and its tokenizer, refusing early what could not be used later."""

from __future__ import annotations

import gc
import re
import warnings
from typing import NamedTuple

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from experiments.config.schema import ModelConfig
from experiments.models.conversion import convert_once
from experiments.models.packaged import PACKAGED
from experiments.models.paths import resolve_path
from safeguards import loading, quantised
from safeguards.errors import SafeguardError


class LoadedModel(NamedTuple):
    """A causal LM on its device, and its tokenizer, which has a chat template."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def load_model(config: ModelConfig, key: str = "model.path") -> LoadedModel:
    """A model on its device, and its tokenizer. `key` is the setting that names it.

    Raises:
        SafeguardError: in one line, if either cannot be loaded or there is no chat template.
    """
    release_memory()
    named, path = f"{key}={config.path}", resolve_path(config.path, config.home, key)
    if config.path in PACKAGED:
        convert_once(config.path, named)
    disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    pinned = {"revision": config.revision} if config.revision else {}
    tokenizer = loading.load_tokenizer(path, named, **pinned)
    model = _load(path, named, config, pinned)
    if not tokenizer.chat_template:
        raise SafeguardError(f"{named}: the tokenizer has no chat template; use an instruct model")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return LoadedModel(model, tokenizer)


def _load(path: str, named: str, config: ModelConfig, pinned: dict[str, str]) -> PreTrainedModel:
    """The model on its device, in 4 bits if asked for; such a one is put there by its loader."""
    device = pick_device(config.device)
    if config.quantization is None:
        return loading.load_model(AutoModelForCausalLM, path, named, config.dtype, **pinned).to(device)
    quantised.refuse_missing(f"model.quantization={config.quantization}")
    settings = {"quantization_config": quantised.nf4_settings(), "device_map": {"": device}}
    model = loading.load_model(AutoModelForCausalLM, path, named, config.dtype, **settings, **pinned)
    quantised.keep_weights(model)
    return model


def release_memory() -> None:
    """Give back what the last arm's model held; trainers refer to themselves, so it takes the collector."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def pick_device(name: str) -> str:
    """A device name; "auto" is the accelerator if there is one."""
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def beside_text(model: PreTrainedModel) -> str | None:
    """A pattern of the modules that text does not pass through, such as those that see; None if there are none."""
    if model.config.get_text_config() is model.config:
        return None
    decoder = model.get_decoder()
    (name,) = (name for name, module in model.named_modules() if module is decoder)
    return rf"(?!{re.escape(name)}\.).*"
