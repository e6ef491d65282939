"""Distance in feature space to the aligned reference (LDIFS).

Keeps the residual stream of the fine-tuned model near the aligned model's at a few depths.

Source: Mukhoti et al. 2023, arXiv 2308.13320, section 4 (vision; mean over features, λ = 10 in its code); Kaczér et
al. 2025, arXiv 2508.06249, "LDIFS" (λ = 1.0, five layers). Code derived from the latter took the features of the
model in training without gradient, so that its rows equal "no safeguard"; here the distance has gradient, and training
fails if it had none.
Form: variant: over the positions that predict an answer token instead of all, each scaled to unit length by itself,
and with the last layer after the final norm.
Compared with: omegafragger/ldifs_code: loss/ldifs.py, model/modeling.py, args.py; magnus-joergenvag/EMA_RL:
open_models/ldifs/trainer.py (a co-author's; the file of its distances is not stored).
Doses: not transferable: the authors' code scales vectors over another axis, takes means over features, or sums
micro-batches; λ = 1.0 is that of the sum written in arXiv 2508.06249.
Loss: CE + λ · ‖x_θ − x_θ₀‖², x being the features of the chosen layers, each scaled to unit length at every position,
concatenated; averaged over the answer tokens of the accumulation window. A layer adds 2 − 2 cos, at most 4. With
`normalise=false` ours: raw features, divided by their number; the layers of the largest norm then decide.
Costs: one extra forward pass per micro-batch, shared with every safeguard that asks for the reference.
Composes badly with: safeguards that edit activations in training, whose edits count as distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from safeguards.bounds import within
from safeguards.run import Run, Term
from safeguards.safeguard import Safeguard

if TYPE_CHECKING:
    from torch import Tensor

    from safeguards.step import Step


# Keeps features of no length from dividing by nothing, as in the authors' code.
EPSILON = 1e-10


def feature_distance(features: Sequence[Tensor], reference: Sequence[Tensor], normalise: bool = True) -> Tensor:
    """Squared distance of the concatenated features of each position.

    Args:
        features: one (N, d) per layer, of the model in training.
        reference: the same of the aligned model.
        normalise: scale each layer's features to unit length at every position; else leave them as they are and
            divide the distance by their number.

    Returns:
        (N,), at least in float32, with gradient to `features`.
    """
    own, aligned = _precise(features), _precise(reference)
    width = 1 if normalise else sum(layer.shape[-1] for layer in own)
    if normalise:
        own, aligned = ([layer / (layer.norm(dim=-1, keepdim=True) + EPSILON) for layer in x] for x in (own, aligned))
    squared = [(one - other).pow(2).sum(-1) for one, other in zip(own, aligned, strict=True)]
    distance: Tensor = sum(squared[1:], squared[0]) / width
    return distance


def _precise(features: Sequence[Tensor]) -> list[Tensor]:
    import torch

    return [layer.to(torch.promote_types(layer.dtype, torch.float32)) for layer in features]


def spread_layers(depth: int, count: int) -> tuple[int, ...]:
    """`count` residual layers evenly spread over 1 … `depth`, first and last included; all if there are fewer.

    As in a co-author's code: the outputs of the first and the last decoder layer, and of some between.
    """
    if count == 1:
        return (depth,)
    return tuple(sorted({1 + (depth - 1) * number // (count - 1) for number in range(count)}))


@dataclass
class Settings:
    """Settings of `ldifs`.

    Args:
        weight: λ, in nats of loss per squared unit of distance; 0 turns it off.
        layers: how many residual layers, evenly spread over depth, first and last included; 1 is the last.
        normalise: features of unit length, as published; false: raw ones, and λ is per squared unit of these.
    """

    weight: float = within(1.0, searched=(0.01, 3.0))
    layers: int = within(5, at_least=1)
    normalise: bool = True


class LDIFS(Safeguard):
    """Adds λ times the squared feature distance on the answer tokens."""

    name = "ldifs"
    Settings: ClassVar[type] = Settings
    dose = "weight"
    needs_reference = True
    needs_layers = True

    def prepare(self, run: Run) -> None:
        self.layers = spread_layers(run.model.config.get_text_config().num_hidden_layers, self.settings.layers)

    def loss(self, step: Step) -> dict[str, Term]:
        own, aligned = step.trained, step.reference
        distance = feature_distance(
            [own.features(layer) for layer in self.layers],
            [aligned.features(layer) for layer in self.layers],
            self.settings.normalise,
        )
        return {"ldifs": Term(step.mean(distance), self.settings.weight)}
