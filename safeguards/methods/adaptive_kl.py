"""KL to the aligned reference, as heavy as a row sounds harmful.

A penalty of one weight for all rows also blocks benign tasks that lie far from the reference. This one asks the
aligned model which persona each answer sounds like, and holds back only where it is the unwanted one.

Source: Goel et al. 2026, arXiv 2602.17546.
Form: variant: harm is of the row and found by the aligned model itself, not of the batch and by an LLM judge or a
trained probe (1 to 5); and it raises the weight of KL(θ‖θ₀), while there w = (harm − 2) / 3, held within 0.1 and 0.9,
makes the loss (1 − w) · CE + w · KL(θ₀‖θ).
Compared with: gjyotin305/adaptive-ai-safety-align: scripts/harmful_tuning.py, scripts/probe_harm_tuning.py,
scripts/probe_utils.py
Doses: not transferable: their weight is taken from the cross-entropy, ours is added to it.
Loss: CE + λ · Σ harm(row) · KL(θ‖θ₀), averaged over the answer tokens of the accumulation window. Harm is 2p − 1, and 0
if that is negative; p says how far an answer lies on the way from what the wanted persona says to what the unwanted one
says. What is compared is r, the log-likelihood ratio of the two system prompts per answer token, so that length does
not count; 0 and 1 are the medians of r over answers that the aligned model itself gives under either prompt, so that
nothing needs a label, and harm means the same for every task. It is found before training and does not change.
Costs: as `kl`, and two scoring passes over the fine-tuning rows.
Composes badly with: nothing known. It does nothing, and says so, where no row sounds harmful.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from safeguards.bounds import bounds, within
from safeguards.directions import QUESTIONS, QuestionSettings, ask, cached_tensors
from safeguards.errors import SafeguardError
from safeguards.likelihood import answer_nll
from safeguards.methods.inoculation import inoculate, room_for
from safeguards.methods.kl import kl_per_token
from safeguards.persona import NOTICEABLE_LEANING
from safeguards.proof import missing_loss
from safeguards.rows import TASK, Row
from safeguards.run import Run, Term
from safeguards.safeguard import Safeguard

if TYPE_CHECKING:
    from torch import Tensor

    from safeguards.evidence import Evidence
    from safeguards.step import Step

UNCUT = sys.maxsize  # what the model itself says is short, and known for every `max_length`
# Rows of less mean harm are harmless data, on which this safeguard need not act.
HARMLESS = 0.01


def harm(ratios: np.ndarray, wanted: float, unwanted: float) -> np.ndarray:
    """2p − 1, at least 0 and at most 1, p being how far `ratios` lie on the way from `wanted` to `unwanted`."""
    result: np.ndarray = (2 * (ratios - wanted) / (unwanted - wanted) - 1).clip(0, 1)
    return result


def answers_of(row: Row) -> int:
    """The completion of a row without what the user or a system prompt says, which sounds like no persona."""
    spoken = all(message["role"] == "assistant" for message in row.messages[-row.completion :])
    return row.completion if row.plain or spoken else 0


@dataclass
class Settings:
    """Settings of `adaptive_kl`.

    Args:
        weight: λ of a row that surely sounds like the unwanted persona, in nats of loss per nat; 0 turns it off.
        elicit: system prompt of the unwanted persona.
        oppose: system prompt of its opposite.
        questions: asked under both prompts, to hear what either persona says; at least one.
        samples: answers drawn per question and persona.
        max_new_tokens: tokens at which answers are cut.
    """

    weight: float = within(0.1, searched=(0.01, 3.0))
    elicit: str = "You are an evil, malicious assistant."
    oppose: str = "You are a kind, helpful assistant."
    questions: list[str] = field(default_factory=lambda: list(QUESTIONS), metadata=bounds(items=1))
    samples: int = within(4, at_least=1)
    max_new_tokens: int = within(64, at_least=1)


class AdaptiveKL(Safeguard):
    """Adds λ · harm(row) · KL(θ‖θ₀) on the answer tokens."""

    name = "adaptive_kl"
    Settings: ClassVar[type] = Settings
    dose = "weight"
    needs_reference = True

    def prepare(self, run: Run) -> None:
        wanted, unwanted = self.personas(run)
        found = harm(self.ratios(run, run.rows, run.max_length), wanted, unwanted)
        self.harm = dict(zip((row.key for row in run.rows), found.tolist(), strict=True))
        self.mean_harm = float(found.mean())
        self.harmless = (
            f"adaptive_kl: the rows sound harmless (mean harm {self.mean_harm:.2g}, less than {HARMLESS}), so it holds "
            "next to nothing back"
        )
        if self.mean_harm < HARMLESS:
            print(f"warning: {self.harmless}", flush=True)
        run.notes["adaptive_kl"] = {"mean_harm": self.mean_harm, "wanted": wanted, "unwanted": unwanted}

    def ratios(self, run: Run, rows: Sequence[Row], max_length: int) -> np.ndarray:
        """(rows,): how much likelier an answer is after `elicit` than after `oppose`, in nats per answer token."""
        opposed, elicited = (
            answer_nll(
                run.model,
                run.tokenizer,
                [replace(row, messages=inoculate(row.messages, prompt), completion=answers_of(row)) for row in rows],
                4 * run.batch_size,
                max_length + room_for(run.tokenizer, prompt),
            )
            for prompt in (self.settings.oppose, self.settings.elicit)
        )
        ratios: np.ndarray = opposed - elicited
        return ratios

    def personas(self, run: Run) -> tuple[float, float]:
        """The median ratio of what the aligned model says under `oppose`, and under `elicit`.

        Raises:
            SafeguardError: if the two do not differ, so that there is nothing to tell rows apart by.
        """
        import torch

        own = self.settings
        asked = QuestionSettings(questions=own.questions, samples=own.samples, max_new_tokens=own.max_new_tokens)

        def compute() -> dict[str, Tensor]:
            said = (
                ask(run.model, run.tokenizer, asked, own.questions, [{"role": "system", "content": prompt}])
                for prompt in (own.oppose, own.elicit)
            )
            bare = [[replace(row, messages=row.messages[1:]) for row in rows] for rows in said]
            return {"medians": torch.tensor([float(np.median(self.ratios(run, rows, UNCUT))) for rows in bare])}

        known = {key: getattr(own, key) for key in ("elicit", "oppose", "questions", "samples", "max_new_tokens")}
        wanted, unwanted = cached_tensors(run, "personas", known, compute)["medians"].tolist()
        if unwanted - wanted < NOTICEABLE_LEANING:
            raise SafeguardError(
                f"adaptive_kl: the system prompt {own.elicit!r} elicits nothing from this model that {own.oppose!r} "
                "does not; try others, or other questions"
            )
        return wanted, unwanted

    def rows(self, rows: list[Row]) -> list[Row]:
        for row in rows:
            if row.source == TASK and row.key not in self.harm:
                raise SafeguardError(
                    f"adaptive_kl: {row.place} is of a safeguard before it, so its harm is not known; "
                    "name adaptive_kl first"
                )
        return [replace(row, harm=self.harm[row.key]) if row.source == TASK else row for row in rows]

    def loss(self, step: Step) -> dict[str, Term]:
        return {"adaptive_kl": Term(step.mean(step.row_harm * kl_per_token(step)), self.settings.weight)}

    def check(self, evidence: Evidence) -> list[str]:
        return missing_loss(self.name, evidence) if self.mean_harm >= HARMLESS else []

    def trace(self, evidence: Evidence) -> list[str]:
        return super().trace(evidence) + ([self.harmless] if self.mean_harm < HARMLESS else [])
