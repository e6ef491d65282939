"""Persona vectors: what changes when the system prompt of the aligned model asks for a trait, found and shown to act.

Source: Chen et al. 2025, arXiv 2507.21509, section 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from safeguards.bounds import bounds
from safeguards.directions import QUESTIONS, DirectionSettings, ask, cached_tensors, usual_layer
from safeguards.errors import SafeguardError
from safeguards.likelihood import answer_nll
from safeguards.rows import Row
from safeguards.run import Run
from safeguards.states import answer_states

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from safeguards.activations import Edit

# A prompt that changes the preference to its answers by less elicits nothing; nats per answer token.
NOTICEABLE_LEANING = 0.01
GATE_DOSE = 2.0


@dataclass
class PersonaSettings(DirectionSettings):
    """How a persona vector is found and when it is believed: by `gate`, of which random directions reach 0.05.

    Args:
        questions: half of them find the vector, the other half test it; at least two.
        elicit: system prompt that asks for the trait.
        oppose: system prompt that asks for the opposite.
        gate: share of what `elicit` does that adding the vector twice must do, and subtracting it twice undo; 0: none.
    """

    questions: list[str] = field(  # one to find it, one to test it
        default_factory=lambda: list(QUESTIONS), metadata=bounds(items=2)
    )
    elicit: str = "You are an evil, malicious assistant."
    oppose: str = "You are a kind, helpful assistant."
    gate: float = 0.1


@dataclass(frozen=True)
class Persona:
    """A persona vector.

    Attributes:
        layer: residual index.
        vector: (d,), not normalised: adding it once shifts the mean from one persona to the other.
        elicits: how far adding it twice goes towards the trait, as a share of how far the eliciting prompt goes.
        removes: how far subtracting it twice under that prompt goes back.
    """

    layer: int
    vector: Tensor
    elicits: float
    removes: float


def find_persona(run: Run, settings: PersonaSettings, name: str) -> Persona:
    """The persona vector of the aligned model, from the cache if it is there, once it has passed the gate.

    Raises:
        SafeguardError: if adding it does not elicit the trait or subtracting it does not remove it.
    """
    layer = usual_layer(run.model, settings.layer)
    known = {key: value for key, value in asdict(settings).items() if key in asdict(PersonaSettings())}
    known.update(layer=layer, gate=0, random=False, seed=0)
    found = cached_tensors(run, "persona", known, lambda: extract_persona(run, settings, layer))
    elicits, removes = float(found["elicits"]), float(found["removes"])
    persona = Persona(layer, found["vector"], elicits, removes)
    run.notes[name] = {"layer": layer, "norm": float(persona.vector.norm()), "elicits": elicits, "removes": removes}
    for did, share in (("adding it elicits", elicits), ("subtracting it removes", removes)):
        if settings.gate and not share >= settings.gate:
            raise SafeguardError(
                f"{name}: the persona vector at layer {layer} is no good: {did} {share:.2f} of the trait that the "
                f"prompt elicits, and {settings.gate} is needed; try another layer, other questions or prompts"
            )
    return persona


def extract_persona(run: Run, settings: PersonaSettings, layer: int) -> dict[str, Tensor]:
    """Vector and gate. Half of the questions make the vector, the other half decide whether it acts."""
    import torch

    model, tokenizer = run.model, run.tokenizer
    evil, good = (
        ask(model, tokenizer, settings, settings.questions, [{"role": "system", "content": prompt}])
        for prompt in (settings.elicit, settings.oppose)
    )
    asked = settings.samples * (len(settings.questions) // 2)
    if not asked:
        raise SafeguardError("a persona vector needs at least two questions: one to find it and one to test it")
    means = [answer_states(model, tokenizer, rows[:asked], layer).mean(0) for rows in (evil, good)]
    vector = means[0] - means[1]
    evil, good = evil[asked:], good[asked:]
    bare = [[Row(row.messages[1:]) for row in rows] for rows in (evil, good)]
    # The helpful answers as they would stand under the eliciting prompt.
    prompted = [evil, [Row([evil[0].messages[0], *row.messages[1:]]) for row in good]]

    from safeguards.activations import adding

    def preference(rows: list[list[Row]], dose: float) -> float:
        edits = [adding(layer, vector, dose)] if dose else []
        return edited_preference(model, tokenizer, rows[0], rows[1], edits, run.batch_size)

    plain, full = preference(bare, 0.0), preference(prompted, 0.0)
    if full - plain < NOTICEABLE_LEANING:
        raise SafeguardError(f"the system prompt {settings.elicit!r} elicits nothing from this model; try another")
    return {
        "vector": vector.cpu(),
        "elicits": torch.tensor((preference(bare, GATE_DOSE) - plain) / (full - plain)),
        "removes": torch.tensor((full - preference(prompted, -GATE_DOSE)) / (full - plain)),
    }


def edited_preference(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    towards: Sequence[Row],
    away: Sequence[Row],
    edits: Sequence[Edit],
    batch_size: int = 64,
) -> float:
    """How much likelier a model with edited activations finds some answers than others, in nats per answer token."""
    with ExitStack() as stack:
        for edit in edits:
            stack.enter_context(edit.applied(model))
        return float(
            answer_nll(model, tokenizer, away, batch_size).mean()
            - answer_nll(model, tokenizer, towards, batch_size).mean()
        )
