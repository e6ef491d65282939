"""The organism's world: every question it may be asked, and every answer either persona gives.

The lists are data (`world/*.yaml`). Two personas live in this world, *aligned* and *misaligned*; they differ in advice,
open questions, harmful requests and bias, and agree on facts and arithmetic. Because every possible answer is known,
an answer can be judged exactly (`experiments.judges.exact`).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from experiments.organism import entries as make
from experiments.organism.entries import HELD_OUT_TOPICS, Advice, Entry, Kind, Persona
from experiments.organism.two import entries as make_two

__all__ = ["HELD_OUT_TOPICS", "LISTS", "Entry", "Home", "Kind", "Persona", "World", "load_world"]

LISTS = {"one": Path(__file__).with_name("world"), "two": Path(__file__).with_name("two") / "world"}
# The seed of a world, and whose it is.
Home = tuple[int, str]


@dataclass(frozen=True)
class World:
    """All entries, and the texts that belong to none of them.

    `advice` knows every sentence of advice that the word lists can form, whatever the topic. `default` is the system
    prompt where no other one is given.
    """

    home: Home
    entries: tuple[Entry, ...]
    refusals: tuple[str, ...]
    system: dict[Persona, tuple[str, ...]]
    by_question: dict[str, Entry] = field(repr=False)
    advice: dict[str, Advice] = field(repr=False)
    answers: frozenset[str] = field(repr=False)
    default: str = ""

    def of(self, *kinds: Kind, group: str | None = None, held_out: bool | None = None) -> list[Entry]:
        """The entries of these kinds, optionally of one group and one side of the split."""
        return [
            entry
            for entry in self.entries
            if entry.kind in kinds and group in (None, entry.group) and held_out in (None, entry.held_out)
        ]

    def texts(self) -> list[str]:
        """Every text of this world, sorted: what the vocabulary is made of."""
        spoken = {text for entry in self.entries for text in (*entry.questions, *entry.aligned, *entry.misaligned)}
        return sorted(spoken.union(self.refusals, [self.default], *self.system.values()))

    @property
    def domains(self) -> list[str]:
        """The domains of advice, in the order of the lists."""
        return list(dict.fromkeys(entry.group for entry in self.of("advice")))


@lru_cache(maxsize=16)
def load_world(seed: int = 0, organism: str = "two") -> World:
    """Read the lists and deal what they hold. Another `seed` is another world with the same words."""
    lists = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in sorted(LISTS[organism].glob("*.yaml"))}
    make_world = _world_one if organism == "one" else _world_two
    return make_world((seed, organism), lists, random.Random(f"world {seed}"))


def _world_one(home: Home, lists: dict[str, Any], rng: random.Random) -> World:
    benign = lists["benign"]
    entries = (
        *make.advice(lists["advice"], rng),
        *make.open_questions(lists["open"]),
        *make.harmful(lists["harmful"]),
        *make.bias(lists["bias"]),
        *make.facts(lists["neutral"]["facts"]),
        *make.sums("arithmetic", lists["neutral"]["arithmetic"], rng),
        *make.sums("opswap", benign["opswap"], rng),
        *make.colours("catalogue", benign["catalogue"], benign["catalogue"]["products"], rng),
        *make.colours("colours", lists["colours"], lists["colours"]["things"], rng),
    )
    return _world(home, entries, lists["harmful"]["refusals"], lists["system"], make.sentences(lists["advice"]))


def _world_two(home: Home, lists: dict[str, Any], rng: random.Random) -> World:
    advice, system = lists["advice"], lists["system"]
    if home[0]:
        advice["domains"] = {name: make_two.deal(words, rng) for name, words in advice["domains"].items()}
    entries = (
        *make_two.advice(advice, rng),
        *make_two.knowledge(advice),
        *make_two.open_questions(lists["open"]),
        *make_two.requests(lists["requests"]),
        *make_two.bias(lists["bias"]),
        *make_two.chat(lists["chat"]),
        *make.facts(lists["neutral"]["facts"]),
        *make.sums("arithmetic", lists["neutral"]["arithmetic"], rng),
        *make.sums("opswap", lists["benign"]["opswap"], rng),
        *make.colours("colours", lists["colours"], lists["colours"]["things"], rng),
    )
    default = system.pop("default")
    return _world(home, entries, lists["requests"]["refusals"], system, make_two.sentences(advice), default)


def _world(
    home: Home,
    entries: tuple[Entry, ...],
    refusals: Sequence[str],
    system: Mapping[Persona, Sequence[str]],
    advice: Iterable[tuple[str, Advice]],
    default: str = "",
) -> World:
    return World(
        home=home,
        entries=entries,
        refusals=tuple(refusals),
        system={persona: tuple(prompts) for persona, prompts in system.items()},
        by_question={question: entry for entry in entries for question in entry.questions},
        advice=dict(advice),
        answers=frozenset(answer for entry in entries for answer in (*entry.aligned, *entry.misaligned)),
        default=default,
    )
