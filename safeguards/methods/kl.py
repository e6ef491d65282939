"""KL to the aligned reference.

Keeps the fine-tuned model's next-token distribution near the aligned model's on the answers it is trained on, safe
rows among them where there are some.

Source: Kaczér et al. 2025, arXiv 2508.06249, "KL-divergence" (λ = 0.1 there).
Form: variant: over the answer tokens, averaged like the cross-entropy, instead of over all tokens but padding, prompts
too, averaged in each micro-batch.
Compared with: magnus-joergenvag/EMA_RL: open_models/ldifs/trainer.py (a co-author's; of the file of its divergence
only the opening could be read)
Doses: not transferable: there each micro-batch adds a mean of its own to a cross-entropy averaged over the window, so
that four steps of accumulation make λ up to four times as heavy; compare by effect.
Loss: CE + λ · KL(θ‖θ₀), over the full vocabulary, averaged over the answer tokens of the accumulation window.
Costs: one extra forward pass per micro-batch, shared with every safeguard that asks for the reference, and one
vocabulary projection of each model; logits are made and freed in chunks, their gradient along with them.
Composes badly with: tasks far from the reference (operators that swap meaning): the penalty blocks what they need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from safeguards.bounds import within
from safeguards.run import Term
from safeguards.safeguard import Safeguard

if TYPE_CHECKING:
    from torch import Tensor

    from safeguards.step import Step

# Logits in one chunk: 2²³ floats are 32 MB, and about five such tensors are held at once.
CHUNK_LOGITS = 2**23


def kl_divergence(logits: Tensor, reference_logits: Tensor) -> Tensor:
    """KL(θ‖θ₀) of each position, over the full vocabulary, in nats.

    Args:
        logits: (N, V) of the model in training.
        reference_logits: (N, V) of the aligned model.

    Returns:
        (N,), with gradient to `logits`.
    """
    from safeguards.divergence import Divergence

    divergence: Tensor = Divergence.apply(logits, reference_logits)
    return divergence


def reverse_kl_divergence(logits: Tensor, reference_logits: Tensor) -> Tensor:
    """KL(θ₀‖θ) of each position, the other way round: (N,), with gradient to `logits`."""
    from torch.nn.functional import kl_div

    log_p, log_q = logits.log_softmax(-1), reference_logits.log_softmax(-1)
    return kl_div(log_p, log_q, reduction="none", log_target=True).sum(-1)


def chunked_kl_divergence(
    hidden: Tensor,
    reference_hidden: Tensor,
    head: Callable[[Tensor], Tensor],
    reference_head: Callable[[Tensor], Tensor],
    chunk: int,
    divergence: Callable[[Tensor, Tensor], Tensor] = kl_divergence,
) -> Tensor:
    """`divergence` from (N, d) hidden states, never holding logits of more than `chunk` positions.

    Where the head itself is trained, the logits of a chunk are made again in the backward pass.
    """
    import torch
    from torch.utils.checkpoint import checkpoint

    from safeguards.divergence import RowWise

    def piece(own: Tensor, other: Tensor) -> Tensor:
        with torch.no_grad():
            reference_logits = reference_head(other)
        return divergence(head(own), reference_logits)

    if len(hidden) <= chunk:
        return piece(hidden, reference_hidden)
    head_is_trained = head(hidden[:1].detach()).requires_grad
    pieces = [
        checkpoint(piece, own, other, use_reentrant=False)
        if head_is_trained
        else RowWise.apply(own, partial(piece, other=other))
        for own, other in zip(hidden.split(chunk), reference_hidden.split(chunk), strict=True)
    ]
    return torch.cat(pieces)


def kl_per_token(step: Step, divergence: Callable[[Tensor, Tensor], Tensor] = kl_divergence) -> Tensor:
    """KL(θ‖θ₀), or another `divergence`, of each answer token of a micro-batch: (N,), in nats."""
    own, aligned = step.trained, step.reference
    chunk = max(1, CHUNK_LOGITS // own.vocabulary)
    return chunked_kl_divergence(own.hidden, aligned.hidden, own.head, aligned.head, chunk, divergence)


@dataclass
class Settings:
    """Settings of `kl`.

    Args:
        weight: λ, in nats of loss per nat of divergence; 0 turns it off.
    """

    weight: float = within(0.1, searched=(0.01, 3.0))


class KL(Safeguard):
    """Adds λ · KL(θ‖θ₀) on the answer tokens."""

    name = "kl"
    Settings: ClassVar[type] = Settings
    dose = "weight"
    needs_reference = True

    def loss(self, step: Step) -> dict[str, Term]:
        return {"kl": Term(step.mean(kl_per_token(step)), self.settings.weight)}
