"""SafeLoRA: project the update onto the subspace in which alignment training moved.

What alignment training changed spans a subspace. A LoRA update that lies mostly outside it undoes alignment, so it is
replaced by its projection into it.

Source: Hsu et al. 2024, arXiv 2405.16833, section 3.2 (τ = 0.3 in v1 of arXiv 2508.06249).
Form: as published
Compared with: IBM/SafeLoRA: model.py, config.py (in copies that other repositories hold)
Doses: not transferable: how similar updates are to their projections depends on V, and `number` on how many there are.
Weights: per matrix, V = W_aligned − W_base and ΔW ← P ΔW for the `number` updates that are least similar to their
projection, by the cosine of P ΔW and ΔW, or for all that are at most as similar as `threshold` (τ).
`projector=normalised`, as published: P = V Vᵀ / ‖V‖. That is no projector: it weighs directions by the square of how
far alignment moved along them, and its size is that of V, so that an update that is replaced changes its length (on the
first organism to 1 to 19 %: it is all but removed); applied twice it does so twice.
`projector=orthogonal`, ours: P = Q Qᵀ, Q being the leading left singular directions of V, as many as hold `energy` of
‖V‖² (all of V would span everything in a large model). What lies inside keeps its length. The factor 1 / ‖V‖ leaves a
cosine as it is, but the weights of the directions do not, so τ of one form says nothing for the other.
Costs: both models in memory before training; after it a thin product per matrix, or for `orthogonal` one symmetric
decomposition of its smaller side; nothing per step.
Needs: LoRA, and the model before alignment training.
Composes badly with: nothing known; it acts on what the others have left. It acts once: what it has projected already
is left alone, and the trainer hands it trained weights only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from safeguards.bounds import within
from safeguards.errors import SafeguardError
from safeguards.loading import load_model
from safeguards.run import Run
from safeguards.safeguard import Safeguard

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

NUMBER, THRESHOLD = "number", "threshold"
NORMALISED, ORTHOGONAL = "normalised", "orthogonal"


def leading_basis(change: Tensor, energy: float) -> Tensor:
    """(out, k): orthonormal left singular directions of (out, in) `change` that hold `energy` of its squared norm.

    From the symmetric product over the longer side, in a fraction of the time of a singular value decomposition.
    """
    import torch

    change = change.float()
    tall = len(change) > change.shape[1]
    values, vectors = torch.linalg.eigh(change.T @ change if tall else change @ change.T)
    shares = values.flip(0).clamp(min=0).cumsum(0) / values.clamp(min=0).sum().clamp(min=1e-30)
    leading = vectors.flip(1)[:, : int((shares < energy).sum()) + 1]
    basis: Tensor = torch.linalg.qr(change @ leading).Q if tall else leading
    return basis


def orthogonal(update: Tensor, basis: Tensor) -> Tensor:
    """(out, r) `update` projected onto `basis`. Idempotent."""
    return basis @ (basis.T @ update)


def normalised(update: Tensor, change: Tensor) -> Tensor:
    """V Vᵀ / ‖V‖ times (out, r) `update`, V being (out, in) `change`; the (out, out) matrix is never made."""
    weighed: Tensor = change @ (change.T @ update) / change.norm()
    return weighed


def similarity(update: Tensor, projected: Tensor) -> float:
    """The cosine of two matrices."""
    return float((update * projected).sum() / (update.norm() * projected.norm()).clamp(min=1e-30))


def updates(model: PreTrainedModel) -> Iterator[tuple[str, Any]]:
    """Every LoRA layer with the name that its weight has without the adapter."""
    from peft.tuners.lora import LoraLayer

    from safeguards.model import unwrap

    for name, module in unwrap(model).named_modules():
        if isinstance(module, LoraLayer):
            yield f"{name}.weight", module


def factors(module: Any) -> tuple[Tensor, Tensor]:
    """A (r, in) and B (out, r) of the update B A of a LoRA layer."""
    (adapter,) = module.active_adapters
    return module.lora_A[adapter].weight.detach(), module.lora_B[adapter].weight.detach()


@dataclass
class Settings:
    """Settings of `safelora`.

    Args:
        select: which updates are replaced: "number" of them, as published, or those at most as similar as "threshold".
        number: updates, those least similar to their projection, with `select=number`; 0 turns it off.
        threshold: τ, the largest similarity of those replaced, with `select=threshold`; 0 turns it off, 1 takes all.
        projector: "normalised", V Vᵀ / ‖V‖, as published; or "orthogonal", onto the leading directions of V.
        energy: share of the alignment change (of ‖V‖²) that the subspace holds, with `projector=orthogonal`.
        base: folder or hub name of the model before alignment training.
    """

    select: str = within(NUMBER, one_of=(NUMBER, THRESHOLD))
    number: int = within(10, at_least=0, searched=(1, 20), only=("select", (NUMBER,)))
    threshold: float = within(0.5, at_least=0, only=("select", (THRESHOLD,)))
    projector: str = within(NORMALISED, one_of=(NORMALISED, ORTHOGONAL))
    energy: float = within(0.9, above=0, at_most=1, only=("projector", (ORTHOGONAL,)))
    base: str = ""


class SafeLoRA(Safeguard):
    """Projects LoRA updates onto the alignment subspace, after training."""

    name = "safelora"
    Settings: ClassVar[type] = Settings
    needs_lora = True
    reads_weights = True
    runs_after = ("early_stop", "ablation")

    @property
    def idle(self) -> bool:
        return bool(getattr(self.settings, self.settings.select) == 0)

    def prepare(self, run: Run) -> None:
        self.base = load_base(self.settings.base, run.model)
        self.notes = run.notes
        self.left: dict[str, Tensor] = {}

    def check_adapted(self, model: PreTrainedModel) -> None:
        from safeguards.support import check_plain_lora

        check_plain_lora(model, self.name)

    def weights(self, model: PreTrainedModel) -> None:
        import torch

        layers = dict(updates(model))
        if self.left and all(factors(module)[1].equal(self.left[name]) for name, module in layers.items()):
            return
        similarities, lengths, projected = {}, {}, {}
        for name, module in layers.items():
            first, second = (factor.float() for factor in factors(module))
            projected[name] = self.projector(name, module)(second)
            # With A = Rᵀ Qᵀ, cosine and lengths of B A and P B A are those of B Rᵀ and P B Rᵀ, which are thin.
            mixing = torch.linalg.qr(first.T).R.T
            before, after = second @ mixing, projected[name] @ mixing
            similarities[name] = similarity(before, after)
            lengths[name] = float(after.norm() / before.norm().clamp(min=1e-30))
        limit = self.limit(similarities)
        for name, module in layers.items():
            second = factors(module)[1]
            if similarities[name] <= limit:
                second.copy_(projected[name])
            self.left[name] = second.clone()
        self.notes["safelora"] = {
            "projected": sum(value <= limit for value in similarities.values()),
            "of": len(layers),
            "similarities": similarities,
            "lengths": lengths,
        }

    def projector(self, name: str, module: Any) -> Callable[[Tensor], Tensor]:
        """What projects the B (out, r) of an update of this matrix."""
        aligned = module.get_base_layer().weight
        change = aligned.float() - self.base[name].to(aligned.device).float()
        if self.settings.projector == NORMALISED:
            return partial(normalised, change=change)
        return partial(orthogonal, basis=leading_basis(change, self.settings.energy))

    def limit(self, similarities: dict[str, float]) -> float:
        """The largest similarity at which an update is replaced."""
        if self.settings.select == THRESHOLD:
            return float(self.settings.threshold)
        return sorted(similarities.values())[: self.settings.number][-1]


def load_base(folder: str, aligned: PreTrainedModel) -> dict[str, Tensor]:
    """The weights before alignment training.

    Raises:
        SafeguardError: if there are none, not for this model, or its own.
    """
    from transformers import AutoModelForCausalLM

    if not folder:
        raise SafeguardError("safelora: needs the model before alignment training; name its folder in `base`")
    base = load_model(AutoModelForCausalLM, folder, f"safelora: base={folder}", aligned.dtype)
    known = {name: weight.detach() for name, weight in base.named_parameters()}
    for name, weight in aligned.named_parameters():
        if name not in known or known[name].shape != weight.shape:
            there = "is missing" if name not in known else f"has shape {tuple(known[name].shape)}"
            raise SafeguardError(f"safelora: base={folder}: {name} {there}, the aligned model's {tuple(weight.shape)}")
    if all(weight.cpu().equal(known[name]) for name, weight in aligned.named_parameters()):
        raise SafeguardError(f"safelora: base={folder}: is the aligned model itself; name the one before its alignment")
    return known
