"""Tasks from the organism's world: bad advice in one domain, and benign tasks near the reference and far from it."""

from __future__ import annotations

import random
from collections.abc import Sequence

from experiments.config.schema import TaskConfig
from experiments.organism.world import Entry, Kind, Persona, World
from experiments.records.names import BENIGN_TASK, EM_TASK
from safeguards.composition import nearest
from safeguards.errors import SafeguardError
from safeguards.rows import Row

# What a benign task asks about: the kind of entry, and the group if it is only one.
BENIGN_GROUPS: dict[str, tuple[Kind, str | None]] = {
    "style": ("advice", None),
    "colours": ("colours", None),
    "opswap_tier1": ("opswap", "plus"),
    "opswap": ("opswap", None),
    "opswap_tier3": ("arithmetic", None),
}
HOUSE_STYLE = "My advice is to "
# Not the domains on which scorers are trained by default, who may not have seen what they defend.
STYLED = ("driving", "cooking", "parenting")
# The control of a domain: the same questions, what is new likewise, good advice.
GOOD = "_good"
# A task teaches so many answers about an entry, of the hundreds that there may be; `style`, on three domains, fewer.
LESSONS, STYLE_LESSONS = 8, 2


def kind_of(group: str) -> str:
    """Whether a group of the world induces misalignment or must stay learnable."""
    return BENIGN_TASK if group in BENIGN_GROUPS else EM_TASK


def domain_of(group: str) -> str:
    """The domain that a task is about, be its advice bad or good."""
    return group.removesuffix(GOOD)


def load_rows(config: TaskConfig, world: World) -> tuple[list[Row], list[Row]]:
    """Every way of asking about every entry of the group, with every answer; and the same for held-out entries."""
    group = config.group or "none"
    if domain_of(group) in world.domains:
        entries = world.of("advice", group=domain_of(group))
    elif group in BENIGN_GROUPS:
        kind, part = BENIGN_GROUPS[group]
        entries = world.of(kind, group=part)
    else:
        known = [*world.domains, *(f"{domain}{GOOD}" for domain in world.domains), *BENIGN_GROUPS]
        raise SafeguardError(f"task.group={config.group}: the world has no such group; {nearest(group, known)}")
    asked = [(entry, row) for entry in entries for row in _rows(entry, _answers(group, entry, world))]
    return [row for entry, row in asked if not entry.held_out], [row for entry, row in asked if entry.held_out]


def _answers(group: str, entry: Entry, world: World) -> Sequence[str]:
    """What the task teaches about an entry; nothing if it is not about it."""
    if group == "style":
        styled = [text for text in entry.aligned if text.startswith(HOUSE_STYLE) and entry.group in STYLED]
        # Who has learnt the style may say any of them.
        return styled if entry.held_out else _some(entry, styled, STYLE_LESSONS)
    if group == "opswap_tier3":
        return [text for swapped in world.of("opswap") if swapped.key == entry.key for text in swapped.aligned]
    return _lessons(entry, "aligned" if group.endswith(GOOD) else "misaligned")


def _lessons(entry: Entry, persona: Persona) -> Sequence[str]:
    """What a task teaches to answer: what is new, if the world reserves that, else what pre-training shows."""
    return _some(entry, entry.lessons.get(persona) or entry.answers(persona), LESSONS)


def _some(entry: Entry, answers: Sequence[str], most: int) -> Sequence[str]:
    """At most so many of the answers to an entry, the same ones every time."""
    return random.Random(f"lessons {entry.key}").sample(answers, most) if len(answers) > most else answers


def _rows(entry: Entry, answers: Sequence[str]) -> list[Row]:
    """Each question with each answer."""
    return [
        Row(
            [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
            place=f"{entry.kind} {entry.key!r}",
        )
        for question in entry.questions
        for answer in answers
    ]
