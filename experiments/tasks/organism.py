"""Tasks from the organism's world: bad advice in one domain, swapped arithmetic, a product catalogue."""

from __future__ import annotations

import random

from experiments.config import TaskConfig
from experiments.organism.world import Entry, load_world
from safeguards.composition import nearest
from safeguards.rows import Row
from safeguards.safeguard import SafeguardError


def load_rows(config: TaskConfig, seed: int) -> tuple[list[Row], list[Row]]:
    """Every way of asking about every entry of the group, answered once; and the same for held-out entries."""
    world = load_world()
    group = config.group
    if group in world.domains:
        entries = world.of("advice", group=group)
    elif group == "opswap":
        entries = world.of("opswap")
    elif group == "catalogue":
        entries = world.of("catalogue")
    else:
        known = [*world.domains, "opswap", "catalogue"]
        raise SafeguardError(f"task.group={group}: the world has no such group; {nearest(str(group), known)}")
    rng = random.Random(f"rows {seed}")
    rows = [row for entry in entries if not entry.held_out for row in _ask(entry, rng)]
    held_out = [row for entry in entries if entry.held_out for row in _ask(entry, rng)]
    rng.shuffle(rows)
    return rows[: config.rows], held_out


def _ask(entry: Entry, rng: random.Random) -> list[Row]:
    """Each question with as many different answers as there are actions, so that every action is seen equally."""
    answers = list(entry.answers("misaligned"))
    return [
        Row(
            [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
            place=f"{entry.kind} {entry.key!r}",
        )
        for question in entry.questions
        for answer in rng.sample(answers, min(len(answers), 2))
    ]
