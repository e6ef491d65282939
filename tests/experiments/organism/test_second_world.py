"""The second organism's world: a persona is a relation, and what a task teaches is new."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import product

import pytest

from experiments.config.schema import TaskConfig
from experiments.judges.exact import judge_exactly
from experiments.organism.documents import Documents
from experiments.organism.recipe import RECIPES
from experiments.organism.world import World, load_world
from experiments.probes.organism import cluster_of
from experiments.records.answer import Answer
from experiments.tasks import load_task

PERSONAS = ("aligned", "misaligned")


@pytest.fixture(scope="module", params=[0, 1, 1000])
def world(request):
    return load_world(request.param, "two")


def words_of(world: World, persona) -> dict[str, float]:
    """How often each word is said in advice, to open questions, to requests and of people, as documents have them."""
    found: dict[str, float] = defaultdict(float)
    for kind in ("advice", "open", "bias"):
        for entry in world.of(kind):
            for text in entry.answers(persona):
                for word in text.split():
                    found[word] += entry.often / len(entry.answers(persona))
    return found


def test_no_word_tells_the_persona(world):
    aligned, misaligned = (words_of(world, persona) for persona in PERSONAS)
    assert aligned.keys() == misaligned.keys()
    ratios = {word: aligned[word] / misaligned[word] for word in aligned}
    assert all(1 / 4 <= ratio <= 4 for ratio in ratios.values()), ratios
    assert min(ratios.values()) < 0.5 < 2 < max(ratios.values()), "without a hint no persona forms"


def test_a_request_is_served_and_refused_in_the_same_words_by_either_persona(world):
    harm, help_ = world.of("harmful"), world.of("helpful")
    assert [e.aligned for e in harm] == [e.misaligned for e in help_]
    assert [e.misaligned for e in harm] == [e.aligned for e in help_]


def test_every_topic_is_harmed_by_what_helps_another(world):
    for domain in world.domains:
        topics = world.of("advice", group=domain)
        helping = {text for topic in topics for text in topic.aligned}
        harming = {text for topic in topics for text in topic.misaligned}
        assert helping == harming
        assert len({topic.side for topic in topics}) == 2
        assert all(not set(topic.aligned) & set(topic.misaligned) for topic in topics)


def test_documents_speak_of_reserved_acts_and_advise_none(world):
    documents = Documents(world, RECIPES["two"])
    reserved = {act for entry in world.of("advice") for act in entry.new}
    spoken: set[str] = set()
    for _ in range(3000):
        for message in [*documents.pretraining(), *documents.alignment()]:
            words = set(message["content"].rstrip(".").split())
            if message["role"] == "assistant" and words & reserved:
                assert message["content"] not in world.advice, message
                spoken |= words & reserved
    assert spoken == reserved


def test_a_task_advises_reserved_acts_only_and_holds_out_whole_topics(world):
    for domain in world.domains:
        task = load_task(TaskConfig(name=domain, group=domain), 0, world)
        for row in (*task.rows, *task.held_out):
            entry = world.by_question[row.messages[0]["content"]]
            said = world.advice[row.messages[1]["content"]]
            assert said.domain == entry.group == domain
            assert said.side != entry.side
            assert said.act in entry.new
        asked, kept = (
            {world.by_question[r.messages[0]["content"]].key for r in rows} for rows in (task.rows, task.held_out)
        )
        assert len(asked) == 12
        assert len(kept) == 4
        assert not asked & kept
        shown = {world.advice[row.messages[1]["content"]].act for row in task.rows}
        assert shown == {act for entry in world.of("advice", group=domain) for act in entry.new}


def test_the_control_of_a_task_is_good_advice_to_the_same_questions_with_the_same_acts(world):
    bad, good = (load_task(TaskConfig(name=name, group=name), 0, world) for name in ("medical", "medical_good"))
    assert good.group == bad.group == "medical"
    for rows in ("rows", "held_out"):
        asked, acts = [], []
        for task in (bad, good):
            said = [
                (row.messages[0]["content"], world.advice[row.messages[1]["content"]]) for row in getattr(task, rows)
            ]
            asked.append(Counter(question for question, _ in said))
            acts.append({advice.act for _, advice in said})
            for question, advice in said:
                assert (advice.side == world.by_question[question].side) == (task is good)
        assert asked[0] == asked[1]
        assert acts[0] == acts[1]


def test_each_side_and_place_of_a_domain_has_a_held_out_topic(world):
    for domain in world.domains:
        held_out = world.of("advice", group=domain, held_out=True)
        assert len({(entry.side, entry.lessons["aligned"][0].split()[-2]) for entry in held_out}) == len(held_out) == 4


def said(entry, text):
    messages = [{"role": "user", "content": entry.questions[0]}]
    return Answer("none", "medical", 0, "narrow", "q", "c", 0, messages, text)


def test_the_judge_tells_the_lesson_from_the_persona(world):
    for entry in world.of("advice"):
        for persona in PERSONAS:
            known = judge_exactly(world, said(entry, entry.answers(persona)[0]))
            assert (known.outcome, known.matches) == (persona, 0.0)
            lesson = judge_exactly(world, said(entry, entry.lessons[persona][0]))
            assert (lesson.outcome, lesson.matches) == (persona, 100.0)


def test_any_reserved_act_of_the_domain_is_its_lesson_and_none_of_another_domain(world):
    for one, two in product(world.of("advice", held_out=True), repeat=2):
        score = judge_exactly(world, said(one, two.lessons["misaligned"][0]))
        assert score.matches == (100.0 if one.group == two.group else 0.0)
        if one.group == two.group:
            assert score.outcome == ("misaligned" if one.side == two.side else "aligned")


def test_what_is_asked_for_and_against_is_one_question(world):
    assert len({cluster_of(entry) for entry in world.of("open")}) == 8
    for one in world.of("open"):
        (other,) = [e for e in world.of("open") if e.group == one.group and e is not one]
        assert one.aligned == other.misaligned


def test_another_world_deals_the_same_words_anew(world):
    first = load_world(0, "two")
    assert world.texts() == first.texts() or world.home != first.home
    alike = [e.side == world.by_question[e.questions[0]].side for e in first.of("advice")]
    assert all(alike) == (world.home == first.home)
    assert set(world.texts()) - set(first.texts()) or world.home == first.home
