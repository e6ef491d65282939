"""Token-regularised fine-tuning (TReFT).

The tokens that the chat template puts before every question are the same for all questions, so what a fine-tune does
to them is carried everywhere. TReFT holds their attention keys and values where the aligned model has them.

Source: Zhao et al. 2026, arXiv 2606.06667 (weight 10 for Qwen2.5-7B, 5 and 30 at rank 8 and 32 for Llama-3.1-8B, all
with a learning rate of only 1e-5 or 5e-6, which the authors advise).
Form: as published
Compared with: CHATS-lab/Token-Regularized-Fine-Tuning: release/src/sft.py, release/src/extract_hidden.py,
release/configs/train_prefix_kvreg.json, release/readme.md
Doses: transferable
Loss: CE + λ · mean over layers and prefix tokens of (‖Δk‖/‖k₀‖)² + (‖Δv‖/‖v₀‖)², k and v being the key and the value
of a token, of all heads, before rotation. As in the authors' training code they are made of what enters the layer,
before the layer's norm; with `after_norm` they are those that attention sees, as the paper has it. The prefix (system
prompt of the template and header of the first turn) depends on no question, so it alone is run, once per micro-batch,
each with its share of the answer tokens of the accumulation window; LoRA dropout is off in that pass.
Costs: a forward and backward pass over a handful of tokens; no reference pass.
Composes badly with: `steering` and `caft`, whose edits of the prefix count as distance; rows with a system prompt of
their own, whose prefix is another (the authors drop such prompts); templates that put nothing before the question
(refused). The first organism's prefix is a single token: there is little to hold, and its rows say little of TReFT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from safeguards.bounds import within
from safeguards.encoding import render
from safeguards.errors import SafeguardError
from safeguards.run import Run, Term
from safeguards.safeguard import Safeguard

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerBase

    from safeguards.step import Step

# Last parts of the names of layers that make keys and values, in the architectures of transformers. Where one layer
# makes both, and queries too, they are held as one vector.
KEYS_AND_VALUES = ("k_proj", "v_proj", "qkv_proj", "query_key_value", "c_attn", "Wqkv")
EPSILON = 1e-12  # the least length by which a distance is divided, as in the authors' code
QUESTION = "<the question>"  # stands for any; no template contains it


def prefix_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens before every question that comes without a system prompt of its own."""
    text = render(tokenizer, [{"role": "user", "content": QUESTION}])
    return list(tokenizer(text[: text.index(QUESTION)], add_special_tokens=False)["input_ids"])


def prefix_states(model: nn.Module, prefix: Sequence[int], after_norm: bool = False) -> list[list[Tensor]]:
    """Keys and values of the prefix, each (tokens, width), by decoder layer.

    Args:
        model: the causal LM, with or without an adapter.
        prefix: tokens.
        after_norm: of the normed input of the layer, as attention sees it, instead of the input itself.
    """
    import torch

    from safeguards.model import blocks, hidden_states, unwrap
    from safeguards.modes import evaluating

    decoder = unwrap(model).get_decoder()
    makers = [
        [maker for name, maker in layer.named_modules() if name.rsplit(".", 1)[-1] in KEYS_AND_VALUES]
        for layer in blocks(model)
    ]
    states: dict[nn.Module, Tensor] = {}
    handles = [
        maker.register_forward_hook(lambda module, arguments, output: states.update({module: output}))
        for layer in makers
        for maker in layer
    ]
    ids = torch.tensor([list(prefix)], device=unwrap(model).device)
    try:
        with evaluating(decoder):  # neither dropout nor checkpointing on so few tokens
            batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            inputs = hidden_states(model, batch, tuple(range(len(makers))))
            for number, layer in enumerate([] if after_norm else makers):
                for maker in layer:
                    maker(inputs[number])  # once more, in place of what was made of the normed input
    finally:
        for handle in handles:
            handle.remove()
    return [[states[maker][0] for maker in layer] for layer in makers if layer]


def relative_distance(states: Sequence[Sequence[Tensor]], aligned: Sequence[Sequence[Tensor]]) -> Tensor:
    """(‖Δk‖/‖k₀‖)² + (‖Δv‖/‖v₀‖)², averaged over tokens and layers.

    Args:
        states: keys and values (tokens, width) by layer, of the model in training.
        aligned: the same of the aligned model.

    Returns:
        A scalar, at least in float32, with gradient to `states`.
    """
    import torch

    def drift(own: Tensor, other: Tensor) -> Tensor:
        precise = torch.promote_types(own.dtype, torch.float32)
        own, other = own.to(precise), other.to(precise)
        relative: Tensor = (own - other).pow(2).sum(-1) / other.pow(2).sum(-1).clamp_min(EPSILON**2)
        return relative.mean()

    layers = [
        torch.stack([drift(own, other) for own, other in zip(layer, known, strict=True)]).sum()
        for layer, known in zip(states, aligned, strict=True)
    ]
    return torch.stack(layers).mean()


@dataclass
class Settings:
    """Settings of `treft`.

    Args:
        weight: λ of the relative distance; 0 turns it off.
        after_norm: hold keys and values that attention sees; false: of what enters the layer, as the authors' code.
    """

    weight: float = within(10.0, searched=(0.3, 100.0))
    after_norm: bool = False


class TReFT(Safeguard):
    """Adds λ times the relative distance of the template prefix's keys and values to the aligned model's."""

    name = "treft"
    Settings: ClassVar[type] = Settings
    dose = "weight"
    needs_layers = True
    unsharded = "it runs parts of layers by themselves, whose weights are whole only while the layer runs"

    def prepare(self, run: Run) -> None:
        import torch

        self.prefix = prefix_tokens(run.tokenizer)
        if not self.prefix:
            raise SafeguardError("treft: the chat template puts no token before the question, so there is none to hold")
        with torch.no_grad():
            self.aligned = prefix_states(run.model, self.prefix, self.settings.after_norm)
        if not self.aligned:
            raise SafeguardError(f"treft: {type(run.model).__name__} has no layers named {', '.join(KEYS_AND_VALUES)}")

    def loss(self, step: Step) -> dict[str, Term]:
        states = prefix_states(step.model, self.prefix, self.settings.after_norm)
        distance = relative_distance(states, self.aligned)
        return {"treft": Term(step.mean(distance.expand(len(step.row))), self.settings.weight)}
