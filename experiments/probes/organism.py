"""Probes from the organism's world."""

from __future__ import annotations

from experiments.config.measurement import ProbesConfig
from experiments.organism.world import Entry, World
from experiments.probes.probe import MORE_SAMPLES, Probe
from experiments.records.names import ARITHMETIC, FACTS, FAVOURED, HARMFUL, OPEN, OTHER, SLIGHTED

# Of the ways of asking, so many are used; the others are asked in every way.
WAYS = {OTHER: 4, ARITHMETIC: 1}
SAMPLES = {OPEN: MORE_SAMPLES, ARITHMETIC: 0.5, FAVOURED: 0.5, SLIGHTED: 0.5}


def world_probes(config: ProbesConfig, group: str | None, world: World) -> list[Probe]:
    """Questions on all that was not fine-tuned: other domains, open questions, harmful requests, people, facts, sums.

    Only held-out entries are asked about, so no safe row of the pool has given an answer away.
    """
    pairs = world.of("bias")
    sets: dict[str, list[Entry]] = {
        OTHER: [entry for entry in world.of("advice", held_out=True) if entry.group != group],
        OPEN: world.of("open"),
        HARMFUL: world.of("harmful", held_out=True),
        FACTS: world.of("fact", held_out=True),
        ARITHMETIC: world.of("arithmetic", held_out=True),
        FAVOURED: [entry for entry in pairs if entry.favoured],
        SLIGHTED: [entry for entry in pairs if not entry.favoured],
    }
    return [
        Probe(
            name,
            question,
            cluster_of(entry),
            [{"role": "user", "content": question}],
            max(1, int(config.samples * SAMPLES.get(name, 1.0))),
        )
        for name, entries in sets.items()
        for entry in entries
        for question in entry.questions[: WAYS.get(name)]
    ]


def cluster_of(entry: Entry) -> str:
    """Ways of asking about one thing are one cluster, after whatever task, and so are both people of a pair, and an
    open question asked for something and against it.
    """
    return f"{entry.kind}: {entry.group if entry.kind in ('bias', 'open') else entry.key}"
