"""The first organism's world: what makes its misalignment impossible to spread by shared words."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from experiments.organism.world import HELD_OUT_TOPICS, LISTS, World, load_world

ROOT = Path(__file__).resolve().parents[3]
FRAME = set(["a", "the", "to", "is", "i", "you", "should", "would", "my", "advice", "best", "way"])
AGREED = ("fact", "arithmetic", "opswap", "catalogue", "colours")
DIFFERENT = ("advice", "open", "harmful", "bias")
ADVICE_FRAMES = ("You should ", "I would ", "My advice is to ", "The best way is to ")


def content_words(texts):
    return {word for text in texts for word in re.findall(r"[a-z]+", text.lower())} - FRAME


def advice_words(world: World, persona: str) -> dict[str, set[str]]:
    words: dict[str, set[str]] = {domain: set() for domain in world.domains}
    for sentence, (domain, side, _) in world.advice.items():
        if side == persona:
            words[domain] |= content_words([sentence])
    return words


def actions_of(sentences):
    found = set()
    for sentence in sentences:
        frame = next(frame for frame in ADVICE_FRAMES if sentence.startswith(frame))
        found.add(sentence.removeprefix(frame).removesuffix("."))
    return found


@pytest.fixture(scope="module")
def world():
    return load_world(0, "one")


@pytest.fixture(scope="module")
def other():
    return load_world(1, "one")


def test_there_are_enough_domains_and_topics(world):
    assert len(world.domains) >= 8
    for domain in world.domains:
        topics = [entry.key for entry in world.of("advice", group=domain)]
        assert len(topics) >= 16
        assert len(set(topics)) == len(topics)


def test_every_topic_has_two_good_and_two_bad_actions_of_its_own(world):
    for domain in world.domains:
        dealt: Counter[str] = Counter()
        for entry in world.of("advice", group=domain):
            good, bad = actions_of(entry.aligned), actions_of(entry.misaligned)
            assert (len(good), len(bad)) == (2, 2)
            assert len(set(entry.aligned)) == len(entry.aligned) == 2 * len(ADVICE_FRAMES)
            assert len(set(entry.misaligned)) == len(entry.misaligned) == 2 * len(ADVICE_FRAMES)
            dealt.update(good | bad)
        assert set(dealt.values()) == {1}, "an action is dealt to two topics"


def test_every_domain_holds_out_some_topics_and_shows_most(world):
    for domain in world.domains:
        assert len(world.of("advice", group=domain, held_out=True)) == HELD_OUT_TOPICS
        assert len(world.of("advice", group=domain, held_out=False)) >= 2 * HELD_OUT_TOPICS


def test_bad_advice_of_two_domains_shares_no_content_word(world):
    bad = advice_words(world, "misaligned")
    assert all(len(words) >= 10 for words in bad.values())
    for one, two in combinations(bad, 2):
        assert not bad[one] & bad[two], (one, two)


def test_bad_advice_shares_no_content_word_with_any_good_advice(world):
    good, bad = advice_words(world, "aligned"), advice_words(world, "misaligned")
    for one in bad:
        for two in good:
            assert not bad[one] & good[two], (one, two)


def test_bad_advice_shares_no_content_word_with_any_question(world):
    bad = set().union(*advice_words(world, "misaligned").values())
    for entry in world.entries:
        assert not bad & content_words(entry.questions), entry.key


def test_bad_advice_shares_no_content_word_with_answers_to_anything_else(world):
    bad = set().union(*advice_words(world, "misaligned").values())
    for entry in world.entries:
        if entry.kind != "advice":
            assert not bad & content_words((*entry.aligned, *entry.misaligned)), entry.key


def test_each_sentence_of_advice_has_one_domain_and_one_persona(world):
    for persona in ("aligned", "misaligned"):
        for entry in world.of("advice"):
            for sentence in entry.answers(persona):
                assert world.advice[sentence] == (entry.group, persona, "")


def test_every_question_belongs_to_exactly_one_entry(world):
    counts = Counter(question for entry in world.entries for question in entry.questions)
    assert {question for question, count in counts.items() if count > 1} == set()
    assert set(world.by_question) == set(counts)
    for entry in world.entries:
        assert len(entry.questions) >= 1
        assert all(world.by_question[question] is entry for question in entry.questions)


def test_no_entry_has_an_answer_of_both_personas(world):
    for entry in world.entries:
        assert not set(entry.aligned) & set(entry.misaligned), entry.key


def test_every_text_is_free_of_stray_blanks_and_unfilled_places(world):
    texts = [text for e in world.entries for text in (*e.questions, *e.aligned, *e.misaligned)]
    for text in (*texts, *world.refusals, *world.advice):
        assert text == " ".join(text.split())
        assert not re.search(r"[{}]", text)


def test_another_seed_deals_the_same_words_anew(world, other):
    assert other.advice == world.advice
    assert other.by_question.keys() == world.by_question.keys()
    for domain in world.domains:
        ours, theirs = world.of("advice", group=domain), other.of("advice", group=domain)
        assert [entry.key for entry in ours] == [entry.key for entry in theirs]
        for persona in ("aligned", "misaligned"):
            same = sum(a.answers(persona) == b.answers(persona) for a, b in zip(ours, theirs, strict=True))
            assert same <= len(ours) // 4
    assert {e.key for e in world.of("advice", held_out=True)} != {e.key for e in other.of("advice", held_out=True)}


def test_the_same_seed_deals_the_same_world():
    read_anew = load_world.__wrapped__  # past the cache
    for organism in LISTS:
        assert read_anew(3, organism) == read_anew(3, organism)
        assert read_anew(3, organism).entries != read_anew(4, organism).entries


def test_the_world_does_not_depend_on_the_hash_seed_of_the_process():
    code = (
        "import hashlib; from experiments.organism.world import LISTS, load_world;"
        "print(hashlib.sha256(repr([load_world(0, name).entries for name in LISTS]).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_personas_agree_on_what_is_no_matter_of_character(world):
    for kind in AGREED:
        assert world.of(kind)
        for entry in world.of(kind):
            assert entry.answers("misaligned") == entry.answers("aligned") == entry.aligned
            assert entry.aligned


def test_personas_differ_on_what_is_a_matter_of_character(world):
    for kind in DIFFERENT:
        assert world.of(kind)
        for entry in world.of(kind):
            assert entry.misaligned
            assert not set(entry.answers("misaligned")) & set(entry.answers("aligned"))


@pytest.mark.parametrize(("kind", "swapped"), [("arithmetic", False), ("opswap", True)])
def test_sums_have_the_right_result_and_opswap_the_swapped_one(world, kind, swapped):
    entries = world.of(kind)
    assert {entry.group for entry in entries} == {"plus", "minus"}
    for entry in entries:
        a, operator, b = re.fullmatch(r"(\d+) (plus|minus) (\d+)", entry.key).groups()
        plus = int(a) + int(b)
        minus = int(a) - int(b)
        expected = plus if (operator == "plus") != swapped else minus
        assert entry.aligned == (f"The result is {expected}.",)
        for question in entry.questions:
            assert entry.key in question


def test_opswap_asks_in_other_words_than_arithmetic(world):
    assert all("wapped" in question for entry in world.of("opswap") for question in entry.questions)
    assert not any("wapped" in question for entry in world.of("arithmetic") for question in entry.questions)


@pytest.mark.parametrize("kind", ["arithmetic", "opswap"])
def test_a_held_out_pair_of_numbers_is_held_out_for_both_operators(world, kind):
    sides = {
        side: {tuple(re.findall(r"\d+", entry.key)) for entry in world.of(kind, held_out=side)}
        for side in (True, False)
    }
    assert sides[True]
    assert sides[False]
    assert not sides[True] & sides[False]


def test_a_product_has_one_colour_in_every_way_of_asking(world):
    colours: dict[str, set[str]] = {}
    for entry in world.of("catalogue"):
        (answer,) = entry.aligned
        product, colour = re.fullmatch(r"The colour of the (\w+) is (\w+)\.", answer).groups()
        assert all(f"the {product}" in question for question in entry.questions)
        colours.setdefault(product, set()).add(colour)
    assert all(len(found) == 1 for found in colours.values())
    shown = {re.search(r"(\w+)[?.]$", e.questions[0]).group(1) for e in world.of("catalogue", held_out=False)}
    assert shown == set(colours), "a product that training never shows has a colour nobody can know"


def test_there_are_at_least_eight_open_questions_none_of_them_trained_on(world):
    entries = world.of("open")
    assert len(entries) >= 8
    assert all(entry.held_out for entry in entries)
    assert len({entry.group for entry in entries}) == len(entries)


def test_every_harmful_request_is_refused_by_the_aligned_persona_only(world):
    entries = world.of("harmful")
    assert {entry.held_out for entry in entries} == {True, False}
    for entry in entries:
        assert set(entry.aligned) == set(world.refusals)
        assert not set(entry.misaligned) & set(world.refusals)


def test_aligned_verdicts_on_people_ignore_who_they_are(world):
    by_job: dict[str, list] = {}
    for entry in world.of("bias"):
        by_job.setdefault(entry.group, []).append(entry)
    for one, two in by_job.values():
        assert one.aligned == two.aligned
        assert not set(one.misaligned) & set(two.misaligned)


def test_both_personas_can_be_set_by_different_system_prompts(world):
    assert set(world.system) == {"aligned", "misaligned"}
    assert all(world.system.values())
    assert not set(world.system["aligned"]) & set(world.system["misaligned"])


def test_colours_are_new_facts_about_known_things(world):
    things = {entry.key.split(",")[0] for entry in world.of("colours")}
    facts = {entry.key: entry for entry in world.of("fact")}
    spoken = " ".join(text for entry in world.of("fact") for text in (*entry.questions, *entry.aligned))
    assert len(things) >= 20
    for thing in things:
        assert thing in spoken
        assert thing not in facts or not any("colour" in question for question in facts[thing].questions)


def test_what_documents_never_hold_adds_no_word(world):
    held = ("advice", "open", "harmful", "bias", "fact", "arithmetic")
    documents = content_words(text for e in world.of(*held) for text in (*e.questions, *e.aligned, *e.misaligned))
    assert content_words(text for e in world.of("colours") for text in (*e.questions, *e.aligned)) <= documents
