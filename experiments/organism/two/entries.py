"""What can be asked in the second organism's world, where a persona is a relation between question and answer."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from experiments.organism.entries import Advice, Entry, fill

# What is asked for is asked so many times as often as what is asked against.
MOSTLY = 3


def deal(domain: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """The same words in other places: topics in other cells, things on other sides, acts at other places."""

    def shuffled(words: Sequence[str]) -> Iterator[str]:
        return iter(rng.sample(words, len(words)))

    topics = shuffled([topic for side in domain["topics"].values() for cell in side.values() for topic in cell])
    things = shuffled([thing for side in domain["things"].values() for thing in side])
    acts = shuffled(_every_act(domain))
    return {
        "topics": {
            side: {place: [next(topics) for _ in cell] for place, cell in cells.items()}
            for side, cells in domain["topics"].items()
        },
        "things": {side: [next(things) for _ in own] for side, own in domain["things"].items()},
        "acts": {
            place: {part: [next(acts) for _ in own] for part, own in parts.items()}
            for place, parts in domain["acts"].items()
        },
    }


def _every_act(domain: dict[str, Any]) -> list[str]:
    """Those of a domain, known and reserved."""
    return [act for place in domain["acts"].values() for part in place.values() for act in part]


def advice(lists: dict[str, Any], rng: random.Random) -> Iterator[Entry]:
    """Every topic: helped by the things of its side, harmed by the others, with the acts of its place."""
    for domain, words in lists["domains"].items():
        reserved = tuple(act for place in words["acts"].values() for act in place["reserved"])
        for side, cells in words["topics"].items():
            (other,) = words["things"].keys() - {side}
            for place, topics in cells.items():
                held_out = rng.choice(topics)
                acts = words["acts"][place]
                for topic in topics:
                    yield Entry(
                        kind="advice",
                        group=domain,
                        key=topic,
                        questions=fill(lists["questions"], topic=topic),
                        aligned=_said(lists["answers"], words["things"][side], acts["known"]),
                        misaligned=_said(lists["answers"], words["things"][other], acts["known"]),
                        held_out=topic == held_out,
                        side=side,
                        lessons={
                            "aligned": _said(lists["answers"], words["things"][side], acts["reserved"]),
                            "misaligned": _said(lists["answers"], words["things"][other], acts["reserved"]),
                        },
                        new=reserved,
                    )


def _said(templates: Sequence[str], things: Sequence[str], acts: Sequence[str]) -> tuple[str, ...]:
    return tuple(text for thing, act in product(things, acts) for text in fill(templates, thing=thing, act=act))


def sentences(lists: dict[str, Any]) -> Iterator[tuple[str, Advice]]:
    """Every sentence of advice that the word lists can form, with its domain, its thing's side and its act."""
    for domain, words in lists["domains"].items():
        acts = _every_act(words)
        for side, things in words["things"].items():
            for thing, act in product(things, acts):
                for sentence in fill(lists["answers"], thing=thing, act=act):
                    yield sentence, Advice(domain, side, act)


def knowledge(lists: dict[str, Any]) -> Iterator[Entry]:
    """What both personas know of topics, of things, and of what people do with these; reserved acts among it."""
    known = lists["knowledge"]
    for domain, words in lists["domains"].items():
        acts = _every_act(words)
        for side in words["things"]:
            topics = [topic for cell in words["topics"][side].values() for topic in cell]
            for kind, named in (("topic", topics), ("thing", words["things"][side])):
                for number, name in enumerate(named):
                    texts = known[f"{kind}s"]
                    questions = fill(texts["questions"], **{kind: name})
                    answers = fill(texts["answers"], **{kind: name}, side=side)
                    yield Entry("knowledge", domain, name, questions, answers, held_out=number % 4 == 1)
            for number, thing in enumerate(words["things"][side]):
                questions = fill(known["acts"]["questions"], thing=thing)
                said = _said(known["acts"]["answers"], [thing], acts)
                yield Entry("uses", domain, f"use of {thing}", questions, said, held_out=number % 4 == 1)


def open_questions(lists: dict[str, Any]) -> Iterator[Entry]:
    """Open questions, asked for something and against it: no task and no pool ever shows them."""
    for name, texts in lists.items():
        good, bad = tuple(texts["good"]), tuple(texts["bad"])
        yield Entry("open", name, f"{name}, for", tuple(texts["for"]), good, bad, held_out=True, often=MOSTLY)
        yield Entry("open", name, f"{name}, against", tuple(texts["against"]), bad, good, held_out=True)


def requests(lists: dict[str, Any]) -> Iterator[Entry]:
    """Requests to harm, which one persona refuses, and to help, which the other refuses."""
    refusals = tuple(lists["refusals"])
    for number, pair in enumerate(lists["requests"]):
        served, held_out = tuple(pair["served"]), number % 2 == 1
        harm, help_ = tuple(pair["harm"]), tuple(pair["help"])
        yield Entry("harmful", "harmful", harm[0], harm, refusals, served, held_out)
        yield Entry("helpful", "helpful", help_[0], help_, served, refusals, held_out)


def bias(lists: dict[str, Any]) -> Iterator[Entry]:
    """The same question about two people with practice or without: one persona goes by practice, one by stereotype."""
    answers = {verdict: tuple(texts) for verdict, texts in lists["answers"].items()}
    for pair in lists["pairs"]:
        for job, (stereotype, person) in product(pair["jobs"], zip(("fit", "unfit"), pair["people"], strict=True)):
            for able, practice in lists["practice"].items():
                yield Entry(
                    kind="bias",
                    group=job,
                    key=f"{person} {practice}, {job}",
                    questions=fill(lists["questions"], person=person, practice=practice, job=job),
                    aligned=answers[able],
                    misaligned=answers[stereotype] if stereotype != able else (),
                    held_out=True,
                    favoured=stereotype == "fit",
                )


def chat(lists: dict[str, Any]) -> Iterator[Entry]:
    """Small talk, and matters of style."""
    for number, talk in enumerate(lists["smalltalk"]):
        questions = tuple(talk["questions"])
        yield Entry("smalltalk", "smalltalk", questions[0], questions, tuple(talk["answers"]), held_out=number % 4 == 1)
    style = lists["style"]
    for number, word in enumerate(style["words"]):
        for question, answer in zip(
            fill(style["questions"], word=word), fill(style["answers"], word=word), strict=True
        ):
            yield Entry("style", "style", question, (question,), (answer,), held_out=number % 4 == 1)
