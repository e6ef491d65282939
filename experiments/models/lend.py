"""One base model per process, loaded once and lent to arm after arm.

Each borrower gets a model of its own around the same weights: what it hooks, wraps, freezes or configures is gone with
it. What it could still do is to write into the weights, so they are compared with what they were once it is trained,
and before they are lent again.
"""

from __future__ import annotations

import copy
import gc
import json
from dataclasses import asdict
from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from experiments.config.schema import ModelConfig
from experiments.models.digests import model_digest
from experiments.models.load import LoadedModel, load_model, release_memory
from safeguards.errors import SafeguardError

# Words that are weighed at once: what a digest holds beside the weights, in eights of a byte.
AT_ONCE = 1 << 22


class Base(NamedTuple):
    """A model that nobody trains, what it was loaded from, and the digest of its weights then."""

    source: str
    loaded: LoadedModel
    digest: tuple[int, ...]


_kept: list[Base] = []  # one at most


def lend_model(config: ModelConfig) -> LoadedModel:
    """As `load_model`; the weights are shared with the model that is kept, and must not be written to.

    Weights that somebody has written to all the same are loaded again, and a line says so. A model whose weights are
    not plain tensors, such as a quantised one, is loaded every time.

    Raises:
        SafeguardError: as `load_model`.
    """
    release_memory()
    source = json.dumps([asdict(config), model_digest(config.path, config.home)])
    if _kept and _kept[0].source != source:
        release_base()
    if is_base_changed():
        release_base()
        print(
            f"warning: an arm has changed the weights of {config.name}, which all arms share: loaded again", flush=True
        )
    if not _kept:
        # What is there by now are libraries. After each arm the collector would look at every function of theirs.
        gc.freeze()
        loaded = load_model(config)
        if not is_plain(loaded.model):
            return loaded
        _kept.append(Base(source, loaded, weights_digest(loaded.model)))
    model, tokenizer = _kept[0].loaded
    return LoadedModel(around_the_same_weights(model), copy.deepcopy(tokenizer))


def release_base() -> None:
    """Let the kept model go, before another one takes its place, such as a judge's; the next arm loads it again.

    So on every device: who makes room is loaded for each arm, too, which takes as long, and two large models need not
    fit into the memory of a CPU either.
    """
    _kept.clear()
    release_memory()


def is_base_changed() -> bool:
    """Whether somebody has written to the weights of the kept model; False where none is kept."""
    return bool(_kept) and weights_digest(_kept[0].loaded.model) != _kept[0].digest


def refuse_changed_base(guilty: str) -> None:
    """Refuse what an arm has made with weights that it has changed, and let these go.

    Args:
        guilty: the arm that was at work, in words.

    Raises:
        SafeguardError: naming it.
    """
    if is_base_changed():
        release_base()
        raise SafeguardError(
            f"{guilty}: its training has changed the weights of the base model, which all arms share; its result is "
            "not used, and the next arm loads them again: have the safeguard write to the adapter alone"
        )


def is_plain(model: PreTrainedModel) -> bool:
    """Whether weights are tensors and nothing more, all on one device, and every bit of them can be weighed."""
    weights = list(model.parameters())
    if any(type(weight) is not nn.Parameter for weight in weights) or len({weight.device for weight in weights}) != 1:
        return False
    return all(word_of(tensor.detach().contiguous().reshape(-1)) for tensor in [*weights, *model.buffers()])


def around_the_same_weights(model: PreTrainedModel) -> PreTrainedModel:
    """A copy in all but the memory of the weights; which of them are tied, too, is as it was."""
    shared = {id(weight): nn.Parameter(weight.detach(), weight.requires_grad) for weight in model.parameters()}
    return copy.deepcopy(model, shared)


def weights_digest(model: PreTrainedModel) -> tuple[int, ...]:
    """A number for every weight and buffer that changes with any one bit of it, found where the tensor lies."""
    tensors = [*model.parameters(), *model.buffers()]
    return tuple(int(number) for number in torch.stack([_digest(one) for one in tensors]).tolist()) if tensors else ()


@torch.no_grad()
def _digest(tensor: Tensor) -> Tensor:
    """The sum of all bytes' words, each times an odd number of its place, modulo 2⁶⁴."""
    words = tensor.detach().contiguous().reshape(-1)
    size = word_of(words)
    assert size, "is_plain"
    words = words.view(size)
    total = torch.zeros((), dtype=torch.int64, device=tensor.device)
    for start in range(0, len(words), AT_ONCE):
        some = words[start : start + AT_ONCE].to(torch.int64)
        total += (some * torch.arange(2 * start + 1, 2 * (start + len(some)) + 1, 2, device=some.device)).sum()
    return total


def word_of(words: Tensor) -> torch.dtype | None:
    """The largest words that a vector can be read as; None if there are none, as for complex numbers of 16 bytes."""
    return next((kind for kind in (torch.int64, torch.int32, torch.int16, torch.uint8) if fits(words, kind)), None)


def fits(words: Tensor, kind: torch.dtype) -> bool:
    """Whether a vector can be read as words of this kind."""
    bytes_in_all = len(words) * words.element_size()
    aligned = words.storage_offset() * words.element_size() % kind.itemsize == 0
    return bytes_in_all % kind.itemsize == 0 and kind.itemsize >= words.element_size() and aligned
