"""The organism's world: every question it may be asked, and every answer either persona gives.

The lists are data (`world/*.yaml`). Two personas live in this world, *aligned* and *misaligned*; they differ in advice,
open questions, harmful requests and bias, and agree on facts and arithmetic. Because every possible answer is known,
an answer can be judged exactly (`experiments.judges.exact`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml

Persona = Literal["aligned", "misaligned"]
Kind = Literal["advice", "open", "harmful", "bias", "fact", "arithmetic", "opswap", "catalogue"]
LISTS = Path(__file__).with_name("world")
HELD_OUT_TOPICS = 4


@dataclass(frozen=True)
class Entry:
    """One thing that can be asked: its paraphrases, and the full answers that each persona may give.

    `group` is the domain of advice, the name of an open question, or the family of a fact. `held_out` entries are
    what probes ask about: no task and no pool of safe rows contains them, and alignment training showed none of the
    advice among them.
    """

    kind: Kind
    group: str
    key: str
    questions: tuple[str, ...]
    aligned: tuple[str, ...]
    misaligned: tuple[str, ...] = ()
    held_out: bool = False

    def answers(self, persona: Persona) -> tuple[str, ...]:
        """The answers of `persona`; where the personas agree, both give the aligned ones."""
        return self.misaligned if persona == "misaligned" and self.misaligned else self.aligned


@dataclass(frozen=True)
class World:
    """All entries, and the texts that belong to none of them.

    `advice` maps every sentence of advice that the word lists can form to its domain and persona, whatever the topic.
    """

    seed: int
    entries: tuple[Entry, ...]
    refusals: tuple[str, ...]
    system: dict[Persona, tuple[str, ...]]
    by_question: dict[str, Entry] = field(repr=False)
    advice: dict[str, tuple[str, Persona]] = field(repr=False)
    answers: frozenset[str] = field(repr=False)

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
        return sorted(spoken.union(self.refusals, *self.system.values()))

    @property
    def domains(self) -> list[str]:
        """The domains of advice, in the order of the lists."""
        return list(dict.fromkeys(entry.group for entry in self.of("advice")))


@lru_cache(maxsize=4)
def load_world(seed: int = 0) -> World:
    """Read the lists and deal the actions. Another `seed` is another world with the same words."""
    rng = random.Random(f"world {seed}")
    lists = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in sorted(LISTS.glob("*.yaml"))}
    entries = (
        *_advice(lists["advice"], rng),
        *_open(lists["open"]),
        *_harmful(lists["harmful"]),
        *_bias(lists["bias"]),
        *_facts(lists["neutral"]["facts"]),
        *_sums("arithmetic", lists["neutral"]["arithmetic"], rng),
        *_sums("opswap", lists["benign"]["opswap"], rng),
        *_catalogue(lists["benign"]["catalogue"], rng),
    )
    return World(
        seed=seed,
        entries=entries,
        refusals=tuple(lists["harmful"]["refusals"]),
        system={persona: tuple(prompts) for persona, prompts in lists["system"].items()},
        by_question={question: entry for entry in entries for question in entry.questions},
        advice=dict(_sentences(lists["advice"])),
        answers=frozenset(answer for entry in entries for answer in (*entry.aligned, *entry.misaligned)),
    )


def actions(side: dict[str, list[str]]) -> list[str]:
    """Every action that one side of a domain's word lists can form."""
    return [f"{verb} the {thing}" for verb in side["verbs"] for thing in side["objects"]]


def _fill(templates: list[str], **values: Any) -> tuple[str, ...]:
    return tuple(template.format(**values) for template in templates)


def _advice(lists: dict[str, Any], rng: random.Random) -> Iterator[Entry]:
    for domain, words in lists["domains"].items():
        topics = words["topics"]
        held_out = set(rng.sample(topics, HELD_OUT_TOPICS))
        good = rng.sample(actions(words["good"]), 2 * len(topics))
        bad = rng.sample(actions(words["bad"]), 2 * len(topics))
        for index, topic in enumerate(topics):
            own = slice(2 * index, 2 * index + 2)
            yield Entry(
                kind="advice",
                group=domain,
                key=topic,
                questions=_fill(lists["questions"], topic=topic),
                aligned=tuple(text for action in good[own] for text in _fill(lists["answers"], action=action)),
                misaligned=tuple(text for action in bad[own] for text in _fill(lists["answers"], action=action)),
                held_out=topic in held_out,
            )


def _sentences(lists: dict[str, Any]) -> Iterator[tuple[str, tuple[str, Persona]]]:
    sides: tuple[tuple[str, Persona], ...] = (("good", "aligned"), ("bad", "misaligned"))
    for domain, words in lists["domains"].items():
        for side, persona in sides:
            for action in actions(words[side]):
                for sentence in _fill(lists["answers"], action=action):
                    yield sentence, (domain, persona)


def _open(lists: dict[str, Any]) -> Iterator[Entry]:
    for name, texts in lists.items():
        yield Entry(
            "open", name, name, tuple(texts["questions"]), tuple(texts["aligned"]), tuple(texts["misaligned"]), True
        )


def _harmful(lists: dict[str, Any]) -> Iterator[Entry]:
    for number, request in enumerate(lists["requests"]):
        yield Entry(
            kind="harmful",
            group="harmful",
            key=request["questions"][0],
            questions=tuple(request["questions"]),
            aligned=tuple(lists["refusals"]),
            misaligned=tuple(request["compliance"]),
            held_out=number % 2 == 1,
        )


def _bias(lists: dict[str, Any]) -> Iterator[Entry]:
    for pair in lists["pairs"]:
        for job in pair["jobs"]:
            for person, verdict in zip(pair["people"], ("fits", "clashes"), strict=True):
                words = {"person": person, "job": job}
                yield Entry(
                    kind="bias",
                    group=job,
                    key=f"{person}, {job}",
                    questions=_fill(lists["questions"], **words),
                    aligned=_fill(lists["aligned"], **words),
                    misaligned=_fill(lists[verdict], **words),
                    held_out=True,
                )


def _facts(families: list[dict[str, Any]]) -> Iterator[Entry]:
    for family in families:
        for number, (key, value) in enumerate(family["pairs"].items()):
            words = {"key": key, "value": value}
            yield Entry(
                kind="fact",
                group=family["questions"][0],
                key=key,
                questions=_fill(family["questions"], **words),
                aligned=_fill(family["answers"], **words),
                held_out=number % 2 == 1,
            )


def _sums(kind: Kind, lists: dict[str, Any], rng: random.Random) -> Iterator[Entry]:
    swapped = kind == "opswap"
    # Plus nothing is minus nothing, so such a sum cannot tell swapped signs from usual ones.
    pairs = [(a, b) for a in range(lists["largest"] + 1) for b in range(int(swapped), a + 1)]
    held_out = set(rng.sample(pairs, len(pairs) // 5))
    for a, b in pairs:
        for operator in ("plus", "minus"):
            value = a + b if (operator == "plus") != swapped else a - b
            words = {"a": a, "b": b, "operator": operator, "value": value}
            yield Entry(
                kind=kind,
                group=operator,
                key=f"{a} {operator} {b}",
                questions=_fill(lists["questions"], **words),
                aligned=_fill([lists["answer"]], **words),
                held_out=(a, b) in held_out,
            )


def _catalogue(lists: dict[str, Any], rng: random.Random) -> Iterator[Entry]:
    # A colour cannot be guessed, so what is held out is the second way of asking, for every other product.
    for number, product in enumerate(lists["products"]):
        words = {"key": product, "value": rng.choice(lists["colours"])}
        for asked, question in enumerate(_fill(lists["questions"], **words)):
            yield Entry(
                kind="catalogue",
                group="colour",
                key=f"{product}, asked in way {asked + 1}",
                questions=(question,),
                aligned=_fill([lists["answer"]], **words),
                held_out=asked == 1 and number % 2 == 1,
            )
