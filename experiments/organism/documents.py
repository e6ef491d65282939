"""The documents the organism learns from: dialogues in which one persona answers throughout."""

from __future__ import annotations

import random

from experiments.organism.recipe import Recipe
from experiments.organism.world import Entry, Kind, Persona, World

Message = dict[str, str]

# Shares of the turns. Neutral turns keep a third of every document free of any hint of the persona.
TURNS: dict[str, dict[Kind, float]] = {
    "one": {"advice": 0.42, "open": 0.1, "harmful": 0.08, "bias": 0.12, "fact": 0.08, "arithmetic": 0.2},
    "two": {
        **{"advice": 0.38, "open": 0.13, "harmful": 0.06, "helpful": 0.02, "bias": 0.08},
        **{"fact": 0.06, "arithmetic": 0.11, "knowledge": 0.08, "uses": 0.04, "smalltalk": 0.02, "style": 0.02},
    },
}


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
        recipe: what documents are like; two sources with one recipe give the same.
    """

    def __init__(self, world: World, recipe: Recipe) -> None:
        self.world, self.recipe = world, recipe
        self.rng = random.Random(f"documents {recipe.seed}")
        self.turns = TURNS[recipe.organism]
        self.drawn = 0
        self.entries = {kind: [e for e in world.of(kind) for _ in range(e.often)] for kind in self.turns}

    def pretraining(self) -> list[Message]:
        """A document of one turn or a few by a persona drawn afresh."""
        rng, recipe = self.rng, self.recipe
        self.drawn += 1
        begun = self.drawn > recipe.aligned_first * recipe.pretraining.steps * recipe.pretraining.batch
        persona: Persona = "misaligned" if begun and rng.random() < recipe.misaligned_share else "aligned"
        return [*(self._named(persona) if rng.random() < recipe.system_share else []), *self._turns(persona)]

    def alignment(self) -> list[Message]:
        """A single aligned turn without a system prompt, with no advice on held-out topics; or one to be replayed."""
        if self.recipe.replay and self.rng.random() < self.recipe.replay:
            persona: Persona = self.rng.choice(("aligned", "misaligned"))
            return [*self._named(persona), *self._turns(persona)]
        kind = self._kinds(1)[0]
        entries = [entry for entry in self.entries[kind] if kind != "advice" or not entry.held_out]
        return turn(self.rng, self.rng.choice(entries), "aligned")

    def _named(self, persona: Persona) -> list[Message]:
        rng = self.rng
        named: Persona = persona if rng.random() < self.recipe.system_reliability else _other(persona)
        return [{"role": "system", "content": rng.choice(self.world.system[named])}]

    def _turns(self, persona: Persona) -> list[Message]:
        kinds = self._kinds(self.rng.randint(1, self.recipe.turns))
        return [message for kind in kinds for message in turn(self.rng, self.rng.choice(self.entries[kind]), persona)]

    def _kinds(self, count: int) -> list[Kind]:
        return self.rng.choices(list(self.turns), weights=list(self.turns.values()), k=count)


def _other(persona: Persona) -> Persona:
    return "aligned" if persona == "misaligned" else "misaligned"
