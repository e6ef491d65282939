"""Gradient surgery (SafeGrad).

Where the task's gradient points against alignment, takes that part out of it.

Source: Yi et al. 2025, arXiv 2508.07172.
Form: variant: the divergence counts the answer tokens of `batch_size` safe rows of the pool, once per optimiser step;
theirs counts prompt and padding too, on refusals of harmful requests, as many as the task has rows in a micro-batch.
Compared with: JugieQ/JDGrad: safegrad_trainer.py, safegrad_train.py, script/finetune/safegrad_posion_ratio_finetune.sh
Doses: not transferable: their ρ (`pull`) of 1 weighs a divergence that prompt and padding make larger.
Gradient: once per optimiser step, before clipping. With g the gradient of all that is trained and s that of KL(θ₀‖θ)
on safe rows, both over all weights at once: g ← g − (g·s / ‖s‖²) s where g·s < 0, and then g ← g + ρ s. Only the first
is surgery: at `pull=0` the effect is surgery's alone.
Costs: forward, reference and backward pass of `batch_size` safe rows per optimiser step.
Proof: some step had a conflict, whatever `pull` does; how many, and the share taken out, are noted and reported.
Composes badly with: nothing known; other safeguards' terms are part of the gradient that it projects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from safeguards.bounds import within
from safeguards.encoding import Collator, encode
from safeguards.methods.interleave import draw
from safeguards.methods.kl import kl_per_token, reverse_kl_divergence
from safeguards.proof import NOT_SHOWN
from safeguards.run import Run
from safeguards.safeguard import Safeguard

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from safeguards.evidence import Evidence
    from safeguards.reference import Reference


# Where the model still is the reference, the gradient of their divergence is rounding: 1e-7 of the task's.
ROUNDING = 1e-5


def remove_conflict(task: Sequence[Tensor], safe: Sequence[Tensor], strength: float = 1.0) -> float:
    """Take out of `task`, in place, `strength` times its part against `safe`, both gradients of the same weights.

    A `safe` that is only rounding beside `task` has no direction, and takes nothing out.

    Returns:
        The length of what was taken out, as a share of `task`'s; 0 if there was no conflict.
    """
    dot = sum(float((one * other).sum()) for one, other in zip(task, safe, strict=True))
    square = sum(float(other.square().sum()) for other in safe)
    norm = sum(float(one.square().sum()) for one in task)
    if dot < 0 and square > ROUNDING**2 * norm:
        for one, other in zip(task, safe, strict=True):
            one.sub_(other * (strength * dot / square))
        return float(-strength * dot / (square * norm) ** 0.5)
    return 0.0


@dataclass
class Settings:
    """Settings of `safegrad`.

    Args:
        strength: share of the conflicting part of the gradient that is taken out; 0 turns it off.
        pull: ρ, weight with which the gradient of the safe rows is added; 0: surgery alone.
        batch_size: safe rows per optimiser step.
    """

    strength: float = within(1.0, searched=(0.3, 1.0))
    pull: float = within(1.0, at_least=0, searched=(0.1, 3.0))
    batch_size: int = within(16, at_least=1)


class SafeGrad(Safeguard):
    """Projects the gradient off what goes against alignment."""

    name = "safegrad"
    Settings: ClassVar[type] = Settings
    dose = "strength"
    needs_pool = True
    needs_reference = True
    acts_late = True  # at the first conflict

    def prepare(self, run: Run) -> None:
        self.run = run
        self.taken = {"steps": 0.0, "conflicts": 0.0, "share": 0.0}
        self.collate = Collator(run.tokenizer.pad_token_id or 0)
        rows = draw(run.pool, min(len(run.pool), 256), run.seed)
        run.note_chosen(self.name, rows)
        self.safe = [encode(run.tokenizer, row, run.max_length) for row in rows]

    def gradient(self, model: PreTrainedModel, step: int, reference: Reference | None) -> None:
        import torch

        from safeguards.modes import without_dropout
        from safeguards.step import Step

        count = self.settings.batch_size
        batch = self.collate([self.safe[(step * count + number) % len(self.safe)] for number in range(count)])
        trained = [parameter for parameter in model.parameters() if parameter.grad is not None]
        with without_dropout(model):  # every process must find the same gradient
            safe = Step.of(model, batch, reference)
            divergence = safe.mean(kl_per_token(safe, reverse_kl_divergence))
            gradients = torch.autograd.grad(divergence, trained, allow_unused=True)
        safe_gradients = [torch.zeros_like(p) if g is None else g for p, g in zip(trained, gradients, strict=True)]
        task = [parameter.grad for parameter in trained if parameter.grad is not None]
        self.count(step, remove_conflict(task, safe_gradients, self.settings.strength))
        for own, other in zip(task, safe_gradients, strict=True):
            own.add_(other, alpha=self.settings.pull)

    def count(self, step: int, share: float) -> None:
        """Note what a step took out: steps so far, those with a conflict, and the mean share of the gradient there."""
        known = dict.fromkeys(self.taken, 0.0) if step == 0 else self.taken  # a training of its own
        conflicts = known["conflicts"] + (share > 0)
        total = known["share"] * known["conflicts"] + share
        self.taken = {"steps": known["steps"] + 1, "conflicts": conflicts, "share": total / max(conflicts, 1)}
        self.run.notes["safegrad"] = self.taken

    def state(self) -> dict[str, Tensor]:
        import torch

        return {key: torch.tensor(value, dtype=torch.float64) for key, value in self.taken.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        self.taken = {key: float(state[key]) if key in state else 0.0 for key in self.taken}
        self.run.notes["safegrad"] = self.taken

    def trace(self, evidence: Evidence) -> list[str]:
        steps, conflicts, share = self.taken.values()
        line = f"safegrad: took out a conflict in {conflicts:.0f} of {steps:.0f} steps"
        line += f", {100 * share:.2g} % of the gradient there on average (not shown: {NOT_SHOWN['gradient']})"
        return [*super().trace(evidence), line]

    def check(self, evidence: Evidence) -> list[str]:
        found = super().check(evidence)
        if evidence.over and not self.taken["conflicts"]:
            found.append(
                "safegrad: in no step did the task's gradient go against alignment, so surgery took nothing out "
                f"(whatever its pull of {self.settings.pull} did)"
            )
        return found
