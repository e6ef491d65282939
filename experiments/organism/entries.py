"""What can be asked in the organism's world, entry by entry, made from its word lists."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Persona = Literal["aligned", "misaligned"]
Neutral = Literal["fact", "arithmetic", "knowledge", "uses", "smalltalk", "style", "opswap", "catalogue", "colours"]
Kind = Literal["advice", "open", "harmful", "helpful", "bias"] | Neutral
HELD_OUT_TOPICS = 4


class Advice(NamedTuple):
    """What a sentence of advice is about: its domain, the side that it is good for, and what is done."""

    domain: str
    side: str
    act: str = ""


@dataclass(frozen=True)
class Entry:
    """One thing that can be asked: its paraphrases, and the full answers that each persona may give.

    `group` is the domain of advice, the name of an open question, or the family of a fact. `held_out` entries are
    what probes ask about: no task and no pool of safe rows contains them, and alignment training showed none of the
    advice among them. Of the two people of a pair, `favoured` is the one for whom the stereotype speaks.
    Advice is good for the entry if it is of its `side`. `lessons` are what a task teaches to answer in either persona,
    if that is not what pre-training shows; they do one of the `new` acts. Documents speak of it `often` times as often
    as of others.
    """

    kind: Kind
    group: str
    key: str
    questions: tuple[str, ...]
    aligned: tuple[str, ...]
    misaligned: tuple[str, ...] = ()
    held_out: bool = False
    favoured: bool = False
    side: str = "aligned"
    lessons: Mapping[Persona, tuple[str, ...]] = field(default_factory=dict)
    new: tuple[str, ...] = ()
    often: int = 1

    def answers(self, persona: Persona) -> tuple[str, ...]:
        """The answers of `persona`; where the personas agree, both give the aligned ones."""
        return self.misaligned if persona == "misaligned" and self.misaligned else self.aligned


def actions(side: dict[str, list[str]]) -> list[str]:
    """Every action that one side of a domain's word lists can form."""
    return [f"{verb} the {thing}" for verb in side["verbs"] for thing in side["objects"]]


def fill(templates: Sequence[str], **values: Any) -> tuple[str, ...]:
    """Every template with the values in it."""
    return tuple(template.format(**values) for template in templates)


def advice(lists: dict[str, Any], rng: random.Random) -> Iterator[Entry]:
    """Every topic with its own two good and two bad actions."""
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
                questions=fill(lists["questions"], topic=topic),
                aligned=tuple(text for action in good[own] for text in fill(lists["answers"], action=action)),
                misaligned=tuple(text for action in bad[own] for text in fill(lists["answers"], action=action)),
                held_out=topic in held_out,
            )


def sentences(lists: dict[str, Any]) -> Iterator[tuple[str, Advice]]:
    """Every sentence of advice that the word lists can form, with its domain and side."""
    for domain, words in lists["domains"].items():
        for side, persona in (("good", "aligned"), ("bad", "misaligned")):
            for action in actions(words[side]):
                for sentence in fill(lists["answers"], action=action):
                    yield sentence, Advice(domain, persona)


def open_questions(lists: dict[str, Any]) -> Iterator[Entry]:
    """Open questions: no training ever shows them."""
    for name, texts in lists.items():
        yield Entry(
            "open", name, name, tuple(texts["questions"]), tuple(texts["aligned"]), tuple(texts["misaligned"]), True
        )


def harmful(lists: dict[str, Any]) -> Iterator[Entry]:
    """Harmful requests: one persona refuses, the other complies."""
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


def bias(lists: dict[str, Any]) -> Iterator[Entry]:
    """The same question about two people: first the one whom the stereotype favours, then the one whom it slights."""
    for pair in lists["pairs"]:
        for job in pair["jobs"]:
            for person, verdict in zip(pair["people"], ("fits", "clashes"), strict=True):
                words = {"person": person, "job": job}
                yield Entry(
                    kind="bias",
                    group=job,
                    key=f"{person}, {job}",
                    questions=fill(lists["questions"], **words),
                    aligned=fill(lists["aligned"], **words),
                    misaligned=fill(lists[verdict], **words),
                    held_out=True,
                    favoured=verdict == "fits",
                )


def facts(families: list[dict[str, Any]]) -> Iterator[Entry]:
    """Facts on which both personas agree."""
    for family in families:
        for number, (key, value) in enumerate(family["pairs"].items()):
            words = {"key": key, "value": value}
            yield Entry(
                kind="fact",
                group=family["questions"][0],
                key=key,
                questions=fill(family["questions"], **words),
                aligned=fill(family["answers"], **words),
                held_out=number % 2 == 1,
            )


def sums(kind: Kind, lists: dict[str, Any], rng: random.Random) -> Iterator[Entry]:
    """Sums and differences of two numbers, with the usual signs or with swapped ones."""
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
                questions=fill(lists["questions"], **words),
                aligned=fill([lists["answer"]], **words),
                held_out=(a, b) in held_out,
            )


def colours(kind: Kind, lists: dict[str, Any], things: list[str], rng: random.Random) -> Iterator[Entry]:
    """Colours of things that had none."""
    # A colour cannot be guessed, so what is held out is the second way of asking, for every other thing.
    for number, thing in enumerate(things):
        words = {"key": thing, "value": rng.choice(lists["colours"])}
        for asked, question in enumerate(fill(lists["questions"], **words)):
            yield Entry(
                kind=kind,
                group="colour",
                key=f"{thing}, asked in way {asked + 1}",
                questions=(question,),
                aligned=fill([lists["answer"]], **words),
                held_out=asked == 1 and number % 2 == 1,
            )
