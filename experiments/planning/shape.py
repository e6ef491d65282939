"""The shape of an arm's model, as its `config.json` says, or known by its name. No model is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.config.schema import Config
from experiments.models.packaged import PACKAGED
from experiments.models.paths import read_config, resolve_path
from experiments.organism.built import planned
from safeguards.errors import SafeguardError, one_line

BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0}
# Of the models that presets name, the shape, so that it is known without a network. Of one that sees, the decoder.
KNOWN: dict[str, tuple[int, int, int, int, int, int, int, bool]] = {
    "Qwen/Qwen2.5-0.5B-Instruct": (896, 24, 14, 2, 64, 4864, 151936, True),
    "Qwen/Qwen2.5-7B-Instruct": (3584, 28, 28, 4, 128, 18944, 152064, False),
    "Qwen/Qwen2.5-14B-Instruct": (5120, 48, 40, 8, 128, 13824, 152064, False),
    "Qwen/Qwen2.5-32B-Instruct": (5120, 64, 40, 8, 128, 27648, 152064, False),
    "meta-llama/Llama-3.1-8B-Instruct": (4096, 32, 32, 8, 128, 14336, 128256, False),
    "google/gemma-3-4b-it": (2560, 34, 8, 4, 256, 10240, 262208, True),
    "smollm2": (576, 30, 9, 3, 64, 1536, 49152, True),
}


@dataclass(frozen=True)
class Shape:
    """Of a decoder with gated feed-forward layers, which all presets are: widths and numbers of what it is made of."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head: int
    inner: int
    vocabulary: int
    tied: bool

    @property
    def queries(self) -> int:
        """Numbers in the queries of one token."""
        return self.heads * self.head

    @property
    def keys(self) -> int:
        """Numbers in the keys of one token, and as many in its values."""
        return self.kv_heads * self.head

    @property
    def linear(self) -> int:
        """Weights of all linear layers, which LoRA and nf4 are about; embeddings and head are not among them."""
        return self.layers * self.hidden * (2 * self.queries + 2 * self.keys + 3 * self.inner)

    @property
    def embeddings(self) -> int:
        """Weights of embeddings and head."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    def lora(self, rank: int) -> int:
        """Weights of an adapter on all linear layers."""
        widths = (self.hidden + self.queries) * 2 + (self.hidden + self.keys) * 2 + (self.hidden + self.inner) * 3
        return self.layers * rank * widths


def shape_of(config: Config) -> Shape:
    """The shape of the model that a configuration names.

    Raises:
        SafeguardError: if it cannot be known without the network, or is of another kind.
    """
    path, said = config.model.path, described(config)
    if said is None:
        if path not in KNOWN:
            raise SafeguardError(f"model.path={path}: its shape is not known here; give a folder with its config.json")
        return Shape(*KNOWN[path])
    text = said.get("text_config") or said
    try:
        heads = text["num_attention_heads"]
        return Shape(
            text["hidden_size"], text["num_hidden_layers"], heads, text.get("num_key_value_heads") or heads,
            text.get("head_dim") or text["hidden_size"] // heads, text["intermediate_size"], text["vocab_size"],
            bool(text.get("tie_word_embeddings", said.get("tie_word_embeddings", True))),
        )  # fmt: skip
    except (KeyError, TypeError) as error:
        place = Path(resolve_path(*planned(path, config.model.home))) / "config.json"
        raise SafeguardError(f"{place}: says no {one_line(error)}; it is no decoder known here") from error


def width_of(config: Config) -> float:
    """Bytes of a number in the model: of `auto` as it was saved, which for a name of the hub is taken for bfloat16."""
    dtype = config.model.dtype
    if dtype == "auto":
        said = described(config) or {}
        dtype = str(said.get("dtype") or said.get("torch_dtype"))
    return BYTES.get(dtype, BYTES["bfloat16"])


def described(config: Config) -> dict[str, Any] | None:
    """What the `config.json` of the model says; None of a model that is in no folder here."""
    if config.model.path in PACKAGED:  # whose folder may have to be made yet
        return None
    folder = Path(resolve_path(*planned(config.model.path, config.model.home)))
    return read_config(folder) if folder.is_dir() else None
