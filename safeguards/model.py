"""The parts of a causal LM that safeguards read: its decoder layers, the residual stream between them, its head."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from safeguards.errors import SafeguardError
from safeguards.modes import evaluating


def unwrap(model: nn.Module) -> PreTrainedModel:
    """The causal LM inside a PEFT model, or the model itself."""
    inner = model.get_base_model() if isinstance(model, PeftModel) else model
    assert isinstance(inner, PreTrainedModel)
    return inner


def token_logits(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    """(n, V): the logits of (n, d) last hidden states, which are after the final norm, at least in float32."""
    logits: Tensor = model.get_output_embeddings()(hidden)
    config = model.config.get_text_config()
    # What some architectures do to their logits after the head: Cohere, Granite, Gemma. A factor of 1 would be a copy.
    scale = (getattr(config, "logit_scale", None) or 1.0) / (getattr(config, "logits_scaling", None) or 1.0)
    logits = logits if scale == 1.0 else logits * scale
    cap = getattr(config, "final_logit_softcapping", None)
    logits = torch.tanh(logits / cap) * cap if cap else logits
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def check_head(model: PreTrainedModel) -> None:
    """Refuse a model whose logits are not those of `token_logits`: an architecture that does more to them.

    Raises:
        SafeguardError: naming the architecture.
    """
    ids = torch.tensor([[0, 1]], device=model.device)
    with evaluating(model), torch.no_grad():
        own = model(input_ids=ids, use_cache=False).logits[0]
        hidden = getattr(model.get_decoder()(input_ids=ids, use_cache=False), "last_hidden_state", None)
        if hidden is None:
            raise SafeguardError(f"{type(model).__name__}: its decoder cannot be told from its head; use another model")
        ours = token_logits(model, hidden[0])
    if not torch.allclose(own.to(ours), ours, atol=1e-2 * float(own.abs().max())):
        raise SafeguardError(f"{type(model).__name__}: changes its logits after the head; not supported yet")


def depth_of(model: nn.Module) -> int:
    """The number of decoder layers."""
    return int(unwrap(model).config.get_text_config().num_hidden_layers)


def blocks(model: nn.Module) -> nn.ModuleList:
    """The decoder layers in turn, whatever the architecture calls them.

    Raises:
        SafeguardError: if the decoder has no one list of as many layers as its configuration says.
    """
    decoder = unwrap(model).get_decoder()
    lists = [part for part in decoder.children() if isinstance(part, nn.ModuleList) and len(part) == depth_of(model)]
    if len(lists) != 1:
        raise SafeguardError(
            f"{type(unwrap(model)).__name__}: its {depth_of(model)} decoder layers cannot be told from its other "
            "parts, so none can be read or edited; use a safeguard that needs no inner layer, such as kl"
        )
    return lists[0]


def check_blocks(model: PreTrainedModel) -> None:
    """Refuse a model whose residual stream cannot be read at every layer as (batch, tokens, width).

    Raises:
        SafeguardError: naming the architecture.
    """
    depth = len(blocks(model))
    ids = torch.tensor([[0, 1]], device=model.device)
    with evaluating(model), torch.no_grad():
        states = hidden_states(model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, tuple(range(depth)))
    if len(states) <= depth or any(state.ndim != 3 or state.shape[:2] != ids.shape for state in states.values()):
        raise SafeguardError(
            f"{type(model).__name__}: its layers do not hand on one residual stream; use a safeguard that needs no "
            "inner layer, such as kl"
        )


def check_layers(model: nn.Module, layers: Iterable[int], editable: bool = False) -> None:
    """Refuse residual layers that the model does not have; if `editable`, also what follows the final norm.

    Raises:
        SafeguardError: naming the layer and the range.
    """
    last = depth_of(model) - editable
    for layer in layers:
        if not 0 <= layer <= last:
            raise SafeguardError(
                f"layer {layer}: must be between 0 and {last} for this model of {depth_of(model)} layers"
            )


class Capture:
    """Records what a forward pass computes on its way, so that nothing has to be computed twice.

    Residual-stream index, everywhere in this library: 0 is the output of the embedding, L the output of decoder
    layer L − 1, and the last one (the number of layers) is taken after the final norm, as in `hidden_states`.
    """

    def __init__(self, model: nn.Module, layers: tuple[int, ...] = ()) -> None:
        self.model = model
        self.decoder = unwrap(model).get_decoder()
        self.depth = depth_of(model)
        check_layers(model, layers)
        self.layers = layers
        self.states: dict[int, Tensor] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record the forward pass that runs inside. The recomputation of checkpointed layers runs outside."""
        self.states = {}
        handles = [self.decoder.register_forward_hook(self._keep_last(self.depth))]
        for layer in set(self.layers) - {self.depth}:
            block = blocks(self.model)[layer]
            handles.append(block.register_forward_pre_hook(self._keep_input(layer), with_kwargs=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _keep_last(self, layer: int) -> Callable[..., None]:
        def hook(module: nn.Module, arguments: Any, output: Any) -> None:
            self.states[layer] = output.last_hidden_state

        return hook

    def _keep_input(self, layer: int) -> Callable[..., None]:
        def hook(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            self.states[layer] = arguments[0] if arguments else keywords["hidden_states"]

        return hook


def hidden_states(model: nn.Module, inputs: dict[str, Tensor], layers: tuple[int, ...] = ()) -> dict[int, Tensor]:
    """The hidden states (B, T, d) of one forward pass, without logits: by residual layer, the last one always."""
    capture = Capture(model, layers)
    with capture.recording():
        capture.decoder(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False)
    return capture.states
