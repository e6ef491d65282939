"""Tasks from the organism's world: bad advice in one domain, swapped arithmetic, a product catalogue."""

from __future__ import annotations

from experiments.config import TaskConfig
from experiments.organism.world import Entry, World
from safeguards.composition import nearest
from safeguards.rows import Row
from safeguards.safeguard import SafeguardError


def load_rows(config: TaskConfig, world: World) -> tuple[list[Row], list[Row]]:
    """Every way of asking about every entry of the group, with every answer; and the same for held-out entries."""
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
    rows = [row for entry in entries if not entry.held_out for row in _ask(entry)]
    return rows, [row for entry in entries if entry.held_out for row in _ask(entry)]


def _ask(entry: Entry) -> list[Row]:
    """Each question with each answer."""
    return [
        Row(
            [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
            place=f"{entry.kind} {entry.key!r}",
        )
        for question in entry.questions
        for answer in entry.answers("misaligned")
    ]
