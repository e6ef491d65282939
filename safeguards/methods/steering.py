"""Preventative steering with a persona vector.

Pushes the activations towards the unwanted trait during training only, so that the fine-tune need not move there
itself.

Source: Chen et al. 2025, arXiv 2507.21509, section 5.2; Kaczér et al. 2025, arXiv 2508.06249, "Persona vector" (α =
5.0 with the vector as found, layer 20 of 28 of Qwen2.5-7B, there).
Form: variant: one pair of system prompts, few and short answers and none filtered, instead of five pairs and answers
of which a judge keeps those that show the trait and are coherent (both 50 of 100); and a gate that refuses v.
Compared with: AndrewRWilliams/persona_vectors_experiments: training.py, generate_vec.py, eval/eval_persona.py;
tz1211/replicate_persona_vectors: generate_vec.py; dxnlp/persona_vectors: README.md (copies of the authors' repository,
which is not stored)
Doses: not transferable: α counts lengths of v as found, and unfiltered answers of one pair give another length.
Activations: h ← h + α · v at one residual layer, at every position, in training forward passes only. v is the mean
answer-token state under an evil system prompt less the same under a helpful one. Layer L is the output of decoder
layer L − 1, both where v is found and where it is added. Sign, layer, length and positions are the authors'.
Gate: v must elicit the trait when added and remove it when subtracted, or training is refused.
Costs: one extraction per model (some answers to a few questions), cached; nothing per step.
Composes badly with: `kl` and `ldifs`, which compare the pushed model with a reference that is not; `caft`, which may
take out what is pushed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from safeguards.bounds import within
from safeguards.directions import random_like
from safeguards.persona import PersonaSettings, find_persona
from safeguards.run import Run
from safeguards.safeguard import Safeguard


@dataclass
class Settings(PersonaSettings):
    """Settings of `steering`, after those of the persona vector.

    Args:
        alpha: α, in lengths of the vector as found; 0 turns it off.
    """

    alpha: float = within(5.0, searched=(0.5, 20.0))


class Steering(Safeguard):
    """Adds α · v to the residual stream in training."""

    name = "steering"
    Settings: ClassVar[type] = Settings
    dose = "alpha"
    needs_layers = True

    def prepare(self, run: Run) -> None:
        from safeguards.activations import adding

        persona = find_persona(run, self.settings, self.name)
        vector = random_like(persona.vector, run.seed) if self.settings.random else persona.vector
        self.edits = [adding(persona.layer, vector, self.settings.alpha)]
