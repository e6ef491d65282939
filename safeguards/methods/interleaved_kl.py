"""KL to the aligned reference on safe rows only.

Holds the model where it was on general data and leaves it free on the task.

Source: Azarbal et al. 2025, "Selective Generalization: Improving Capabilities While Maintaining Alignment" (Alignment
Forum), "KL-divergence penalty on alignment data"; not arXiv 2508.06249, where KL is on the fine-tuning rows (`kl`).
Form: variant: safe rows are learnt, too, and share the batches and the normaliser of the task; theirs get no
cross-entropy, and every batch of the task brings one of alignment data, whose mean over all positions is added with β.
Compared with: arianaazarbal/selective-generalization: projects/trainers/kl_divergence_trainer.py,
projects/trainers/positive_negative_proxy_trainer.py
Doses: not transferable: their β weighs a mean over the safe batch, λ here also the share of safe tokens (5 % ≈ β / 20).
Data: the safe rows that `interleave` or `interleave_ppl` add when joined with it, else share · |D| random ones.
Loss: CE + λ · KL(θ‖θ₀) on the answer tokens of safe rows, summed over these and divided by all answer tokens of the
accumulation window, as the cross-entropy is; so its pull grows with their share.
Costs: its share of extra steps, and one extra forward pass for micro-batches that hold a safe row.
Composes badly with: nothing known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from safeguards.bounds import within
from safeguards.methods.interleave import Interleave
from safeguards.methods.kl import kl_per_token
from safeguards.proof import missing_loss
from safeguards.rows import SAFE, Row
from safeguards.run import Run, Term

if TYPE_CHECKING:
    from safeguards.evidence import Evidence
    from safeguards.step import Step


@dataclass
class Settings:
    """Settings of `interleaved_kl`.

    Args:
        weight: λ, in nats of loss per nat of divergence; 0 turns it off, rows and all.
        share: safe rows added if no other safeguard adds some, as a share of the fine-tuning rows.
    """

    weight: float = within(1.0, searched=(0.1, 10.0))
    share: float = within(0.05, above=0, at_most=10)


class InterleavedKL(Interleave):
    """Adds λ · KL(θ‖θ₀) on the answer tokens of safe rows."""

    name = "interleaved_kl"
    Settings: ClassVar[type] = Settings
    dose = "weight"
    runs_after = ("interleave", "interleave_ppl")
    needs_reference = True
    unsharded = "its reference pass runs only in processes that have a safe row, and all would have to take part"

    def prepare(self, run: Run) -> None:
        self.run, self.chosen = run, []

    def rows(self, rows: list[Row]) -> list[Row]:
        if any(row.source == SAFE for row in rows):
            return rows
        super().prepare(self.run)  # only now it is known that no other safeguard adds some
        return super().rows(rows)

    def check(self, evidence: Evidence) -> list[str]:
        return super().check(evidence) + missing_loss(self.name, evidence)

    def loss(self, step: Step) -> dict[str, Term]:
        safe = step.row_source == SAFE
        # A term of 0 where there is no safe row, so that all processes log the same terms.
        per_token = kl_per_token(step)[safe] if safe.any() else step.trained.hidden[:1].sum(-1) * 0
        return {"interleaved_kl": Term(step.mean(per_token), self.settings.weight)}
