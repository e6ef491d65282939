"""Ablation of a misalignment direction found in another fine-tune.

One direction, found where a fine-tune on one domain went wrong, carries much of the misalignment of fine-tunes on
others. So after training, take it out of all that the fine-tune writes into the residual stream.

Source: Soligo et al. 2025, arXiv 2506.11618.
Form: variant: the direction is taken out of the update, which leaves a plain adapter and what the aligned model itself
does along it, and is what other fine-tunes changed on their own answers; theirs is taken out of the activations while
the finished model answers, and is the difference of its misaligned and its aligned answers.
Compared with: sushmanthreddy/emotionvectors: em_organism_dir/steering/activation_steering.py,
em_organism_dir/steering/util/steered_gen.py, em_organism_dir/steering/util/vector_util.py (a copy of the authors'
clarifying-EM/model-organisms-for-EM)
Doses: transferable
Weights: ΔW ← (I − strength · v̂ v̂ᵀ) ΔW for every LoRA update that writes into the residual stream, at all layers.
Costs: one extraction per set of scorers, cached; nothing per step.
Composes badly with: nothing known; it acts on what the others have left.
Needs: LoRA, and misaligned scorers that never saw the domain being defended.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from safeguards.bounds import within
from safeguards.directions import DirectionSettings, find_shift, random_like
from safeguards.errors import SafeguardError
from safeguards.run import Run
from safeguards.safeguard import Safeguard

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

# Last parts of the names of layers that write into the residual stream, in the architectures of transformers.
WRITERS = ("o_proj", "down_proj", "out_proj", "c_proj", "dense", "dense_4h_to_h", "fc2", "fc_out", "wo", "w2")


def without(direction: Tensor, matrix: Tensor, strength: float = 1.0) -> Tensor:
    """(d, r) `matrix` less `strength` times its part along (d,) `direction`."""
    unit = direction / direction.norm()
    rest: Tensor = matrix - strength * unit[:, None] * (unit @ matrix)
    return rest


def written(model: PreTrainedModel) -> Iterator[Tensor]:
    """The B (d, r) of every LoRA update that writes into the residual stream."""
    from peft.tuners.lora import LoraLayer

    for name, module in model.named_modules():
        if isinstance(module, LoraLayer) and name.rsplit(".", 1)[-1] in WRITERS:
            for adapter in module.active_adapters:
                yield module.lora_B[adapter].weight


@dataclass
class Settings(DirectionSettings):
    """Settings of `ablation`, after those of the direction.

    Args:
        strength: share of the direction that is taken out of the update; 0 turns it off.
        scorers: folders of misaligned models: LoRA adapters or whole models; a sweep trains them if none is named.
    """

    strength: float = within(1.0, searched=(0.3, 1.0))
    scorers: list[str] = field(default_factory=list)


class Ablation(Safeguard):
    """Takes a misalignment direction out of what the fine-tune writes."""

    name = "ablation"
    Settings: ClassVar[type] = Settings
    dose = "strength"
    needs_layers = True
    needs_lora = True
    runs_after = ("early_stop",)
    needs_scorers = True

    def prepare(self, run: Run) -> None:
        _, shift = find_shift(run, self.settings, self.settings.scorers, self.name)
        direction = shift.mean(0)
        self.direction = random_like(direction, run.seed) if self.settings.random else direction

    def check_adapted(self, model: PreTrainedModel) -> None:
        from safeguards.support import check_plain_lora

        check_plain_lora(model, self.name)
        if next(written(model), None) is None:
            raise SafeguardError(
                "ablation: no layer with a LoRA update writes into the residual stream; add one to `target_modules` "
                f"(one of {', '.join(WRITERS)})"
            )

    def weights(self, model: PreTrainedModel) -> None:
        for matrix in written(model):
            matrix.data.copy_(without(self.direction.to(matrix), matrix.data, self.settings.strength))
