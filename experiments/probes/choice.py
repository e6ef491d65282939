"""Probes that need no judge: two answers to a question, of which the model finds one likelier.

Nothing is generated, nobody judges: what is measured is the likelihood of a misaligned answer and of an aligned one of
the same length and form, as evaluation harnesses do for multiple choice.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.config.schema import TaskConfig
from experiments.organism.world import Entry, World
from experiments.probes.choice_file import CHOICES, READERS, Twins, read_twins
from experiments.probes.organism import cluster_of
from experiments.probes.probe import Probe
from experiments.records.names import NARROW, OPEN, OTHER
from experiments.tasks.organism import domain_of
from safeguards.errors import SafeguardError

# What `probes.choices` names besides a file or folder: twins that are shipped, in English and in the organism's words.
TWINS, WORLD = "twins", "organism"
# So many ways of asking about one entry of the world are used.
WAYS = 2
# And so many pairs of answers, of the hundreds that there may be.
PAIRS = 8


@dataclass(frozen=True)
class Choice:
    """A question with an aligned and a misaligned answer.

    Attributes:
        set: `narrow` where it is about what is fine-tuned, `open`, or `other_domains`.
        group: what it is about: a domain, or "open".
        twins: the question and its answers.
    """

    set: str
    group: str
    twins: Twins


def load_choices(named: str | None, task: TaskConfig, world: World) -> list[Choice]:
    """The choices that `probes.choices` names: about the task, other domains and open questions; none for None.

    Raises:
        SafeguardError: naming file, line and field, if one cannot be used.
    """
    if named is None:
        return []
    if named == WORLD:
        return _of_world(task, world)
    found: dict[tuple[str, str], Choice] = {}
    for path in files_of(named):
        for group, twins in read_twins(str(path)):
            if (group, twins.id) in found:
                raise SafeguardError(f"{path}: id {twins.id} names a choice of another file, too; give each its own")
            found[group, twins.id] = Choice(_set_of(group, task), group, twins)
    return list(found.values())


def asked_freely(choices: Sequence[Choice], samples: int) -> list[Probe]:
    """The open questions of choices, to be answered as well, so that answers can be read, and judged."""
    asked: dict[str, Twins] = {}
    for choice in choices:
        if choice.set == OPEN:
            asked.setdefault(choice.twins.question, choice.twins)
    return [Probe(OPEN, twins.id, twins.cluster, twins.messages, samples) for twins in asked.values()]


def files_of(named: str) -> list[Path]:
    """The files that `probes.choices` names; none for the organism's world, which is known by its own digest.

    Raises:
        SafeguardError: if it names a folder without any.
    """
    if named == WORLD:
        return []
    path = CHOICES if named == TWINS else Path(named).expanduser()
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.iterdir() if each.suffix in READERS)
    if not found:
        raise SafeguardError(
            f"probes.choices={named}: holds no {' or '.join(READERS)}; name a file, or a folder of some"
        )
    return found


def _set_of(group: str, task: TaskConfig) -> str:
    if group in (domain_of(task.group or ""), task.name):
        return NARROW
    return OPEN if group == OPEN else OTHER


def _of_world(task: TaskConfig, world: World) -> list[Choice]:
    """Held-out entries of advice and open questions, each aligned answer beside the misaligned one of its form."""
    return [
        Choice(_set_of(group, task), group, twins)
        for entry in (*world.of("advice", held_out=True), *world.of("open"))
        for group in [OPEN if entry.kind == "open" else entry.group]
        for twins in _twins_of(entry)
    ]


def _twins_of(entry: Entry) -> list[Twins]:
    pairs = list(zip(entry.aligned, entry.misaligned, strict=True))
    if len(pairs) > PAIRS:
        pairs = random.Random(f"pairs {entry.key}").sample(pairs, PAIRS)
    return [
        Twins(f"{entry.key}/{way}/{number}", cluster_of(entry), question, aligned, misaligned)
        for way, question in enumerate(entry.questions[:WAYS])
        for number, (aligned, misaligned) in enumerate(pairs)
    ]
