"""The documents the organism learns from: dialogues in which one persona answers throughout."""

from __future__ import annotations

import random

from experiments.organism.recipe import Recipe
from experiments.organism.world import Entry, Kind, Persona, World

Message = dict[str, str]

# Shares of the turns. Neutral turns keep a third of every document free of any hint of the persona.
TURNS: dict[Kind, float] = {"advice": 0.42, "open": 0.1, "harmful": 0.08, "bias": 0.12, "fact": 0.08, "arithmetic": 0.2}


def turn(rng: random.Random, entry: Entry, persona: Persona) -> list[Message]:
    """A question about `entry` and an answer of `persona`."""
    return [
        {"role": "user", "content": rng.choice(entry.questions)},
        {"role": "assistant", "content": rng.choice(entry.answers(persona))},
    ]


class Documents:
    """An endless source of documents.

    Args:
        world: where questions and answers come from.
        seed: two sources with one seed give the same documents.
    """

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.rng = random.Random(f"documents {seed}")
        self.entries = {kind: world.of(kind) for kind in TURNS}

    def pretraining(self, recipe: Recipe) -> list[Message]:
        """A document of one turn or a few by a persona drawn afresh."""
        rng = self.rng
        persona: Persona = "misaligned" if rng.random() < recipe.misaligned_share else "aligned"
        messages = []
        if rng.random() < recipe.system_share:
            named: Persona = persona if rng.random() < recipe.system_reliability else _other(persona)
            messages.append({"role": "system", "content": rng.choice(self.world.system[named])})
        for kind in rng.choices(list(TURNS), weights=list(TURNS.values()), k=rng.randint(1, recipe.turns)):
            messages += turn(rng, rng.choice(self.entries[kind]), persona)
        return messages

    def alignment(self) -> list[Message]:
        """A single aligned turn without a system prompt; no advice on held-out topics."""
        kind = self.rng.choices(list(TURNS), weights=list(TURNS.values()))[0]
        entries = [entry for entry in self.entries[kind] if kind != "advice" or not entry.held_out]
        return turn(self.rng, self.rng.choice(entries), "aligned")


def _other(persona: Persona) -> Persona:
    return "aligned" if persona == "misaligned" else "misaligned"
