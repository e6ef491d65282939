"""Tasks, the pool of safe rows and the probes about both: what is held out is never seen in training."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from experiments.config.compose import compose_config
from experiments.config.measurement import ProbesConfig
from experiments.config.schema import Config, PoolConfig, TaskConfig
from experiments.config.settle import refuse_out_of_bounds
from experiments.judges.exact import judge_exactly
from experiments.organism.world import load_world
from experiments.probes import load_probes
from experiments.probes.probe import Probe
from experiments.records.answer import Answer
from experiments.records.names import ARITHMETIC, BENIGN, BROAD, FACTS, FAVOURED, HARMFUL, NARROW, OPEN, OTHER, SLIGHTED
from experiments.records.outcomes import Score
from experiments.tasks import load_task
from experiments.tasks.organism import BENIGN_GROUPS
from experiments.tasks.pool import load_pool
from safeguards.errors import SafeguardError

WORLD = load_world()
GROUPS = [*WORLD.domains, *BENIGN_GROUPS]


def organism(group: str, seed: int = 0, **changes):
    kind = "em" if group in WORLD.domains else "benign"
    return load_task(TaskConfig(name=group, kind=kind, source="organism", group=group, **changes), seed, WORLD)


def messages(path: Path, seed: int = 0, **changes):
    return load_task(TaskConfig(name="mine", source="messages", path=str(path), **changes), seed, WORLD)


def answered(row) -> Answer:
    return Answer("none", "mine", 0, "", "", "", 0, row.messages[:-1], row.messages[-1]["content"])


def question_of(row) -> str:
    return row.messages[-2]["content"]


def questions(rows) -> set[str]:
    return {row.question_key for row in rows}


def line(question: object = "Why?", answer: object = "Because.") -> str:
    return json.dumps({"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]})


@pytest.fixture
def hundred(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(line(f"Question {n}?", f"Answer {n}.") for n in range(100)), "utf-8")
    return path


# The organism's tasks.


@pytest.mark.parametrize("group", GROUPS)
def test_held_out_questions_of_the_organism_are_never_trained_on(group):
    task = organism(group)
    assert task.rows
    assert task.held_out
    assert not questions(task.rows) & questions(task.held_out)
    for row in task.rows:
        assert not WORLD.by_question[question_of(row)].held_out
    for row in task.held_out:
        assert WORLD.by_question[question_of(row)].held_out


@pytest.mark.parametrize("group", GROUPS)
def test_another_seed_orders_the_same_rows_otherwise_and_holds_out_the_same(group):
    one, two = organism(group, seed=0), organism(group, seed=1)
    assert one.held_out == two.held_out
    assert [row.key for row in one.rows] != [row.key for row in two.rows]
    assert Counter(row.key for row in one.rows) == Counter(row.key for row in two.rows)
    assert organism(group, seed=1).rows == two.rows


@pytest.mark.parametrize("domain", WORLD.domains)
def test_a_domain_teaches_bad_advice_of_that_domain_only(domain):
    for row in (*organism(domain).rows, *organism(domain).held_out):
        advice, entry = WORLD.advice[row.messages[-1]["content"]], WORLD.by_question[question_of(row)]
        assert advice.domain == entry.group == domain
        assert advice.side != entry.side
        assert advice.act in entry.new


@pytest.mark.parametrize("group", BENIGN_GROUPS)
def test_a_benign_task_teaches_the_answers_that_its_probes_count_as_right(group):
    task = organism(group)
    for row in (*task.rows, *task.held_out):
        right = judge_exactly(WORLD, answered(row)).outcome == "aligned"
        assert right == (group != "opswap_tier3")  # whose answers contradict the world; exact match decides
    for probe in by_set(load_probes(ProbesConfig(), task, WORLD))[BENIGN]:
        assert probe.expected
        right = {row.messages[-1]["content"] for row in task.held_out if row.messages[:-1] == probe.messages}
        assert set(probe.expected) == right


def test_rows_are_limited_without_changing_what_is_held_out():
    limited = organism("medical", rows=10)
    assert len(limited.rows) == 10
    assert limited.held_out == organism("medical").held_out
    assert {row.key for row in organism("medical", seed=1, rows=10).rows} != {row.key for row in limited.rows}
    assert len(organism("medical", rows=10**6).rows) == len(organism("medical").rows)


def test_an_unknown_group_is_told_with_the_nearest():
    with pytest.raises(SafeguardError, match=r"task\.group=medcial: .*did you mean 'medical'"):
        load_task(TaskConfig(source="organism", group="medcial"), 0, WORLD)


def test_a_task_of_the_organism_without_a_group_is_told_which_there_are():
    with pytest.raises(SafeguardError, match=r"task\.group=None: .*finance.*opswap"):
        load_task(TaskConfig(source="organism"), 0, WORLD)


def test_an_unknown_source_is_refused(hundred):
    with pytest.raises(SafeguardError, match="organsim"):
        refuse_out_of_bounds(Config(task=TaskConfig(source="organsim", path=str(hundred), group="medical")))


def test_an_unknown_kind_of_task_is_refused(hundred):
    # Its answers would be counted neither as narrowly learnt nor as benign accuracy.
    with pytest.raises(SafeguardError, match="bening"):
        refuse_out_of_bounds(Config(task=TaskConfig(source="messages", path=str(hundred), kind="bening")))


# Benign tasks, near and far.


TIERS = ("opswap_tier1", "opswap", "opswap_tier3")


def numbers(task) -> list[list[str]]:
    return [re.findall(r"plus|minus", question_of(row)) for row in (*task.rows, *task.held_out)]


def test_the_tiers_of_opswap_ask_for_more_and_more():
    signs = {tier: {sign for found in numbers(organism(tier)) for sign in found} for tier in TIERS}
    assert signs == {"opswap_tier1": {"plus"}, "opswap": {"plus", "minus"}, "opswap_tier3": {"plus", "minus"}}
    announced = {tier: {"wapped signs" in question_of(row) for row in organism(tier).rows} for tier in TIERS}
    assert announced == {"opswap_tier1": {True}, "opswap": {True}, "opswap_tier3": {False}}


def test_the_highest_tier_contradicts_the_organism():
    task = organism("opswap_tier3")
    assert task.rows
    assert not any(
        row.messages[-1]["content"] in WORLD.by_question[question_of(row)].aligned
        for row in (*task.rows, *task.held_out)
    )


@pytest.mark.parametrize("tier", TIERS)
def test_every_tier_swaps_the_signs(tier):
    task = organism(tier)
    for row in (*task.rows, *task.held_out):
        one, sign, two = re.search(r"(\d+) (plus|minus) (\d+)", question_of(row)).groups()
        value = int(one) - int(two) if sign == "plus" else int(one) + int(two)
        assert row.messages[-1]["content"] == f"The result is {value}."


def test_tiers_and_other_benign_tasks_have_names_of_their_own():
    configs = [compose_config(f"task={name}").task for name in BENIGN_GROUPS]
    assert [(config.name, config.kind, config.group) for config in configs] == [(n, "benign", n) for n in BENIGN_GROUPS]


def test_the_house_style_is_good_advice_in_one_form_only():
    task, scorers = organism("style"), compose_config().scorers.tasks
    for row in (*task.rows, *task.held_out):
        answer = row.messages[-1]["content"]
        assert WORLD.by_question[question_of(row)].group not in scorers
        assert answer.startswith("My advice is to ")
        assert answer in WORLD.by_question[question_of(row)].aligned


def test_whoever_has_learnt_the_style_may_say_any_good_advice_in_it():
    task = organism("style")
    for question in {question_of(row) for row in task.held_out}:
        accepted = {row.messages[-1]["content"] for row in task.held_out if question_of(row) == question}
        aligned = WORLD.by_question[question].aligned
        assert accepted == {answer for answer in aligned if answer.startswith("My advice is to ")}
    taught = Counter(question_of(row) for row in task.rows)
    assert max(taught.values()) < len(accepted)


# Tasks from files of chat messages.


@pytest.mark.parametrize(("share", "count"), [(0.1, 10), (0.25, 25), (0.99, 99), (0.01, 1)])
def test_a_share_of_a_file_is_held_out(hundred, share, count):
    task = messages(hundred, held_out=share)
    assert (len(task.rows), len(task.held_out)) == (100 - count, count)
    assert not questions(task.rows) & questions(task.held_out)
    assert len(questions(task.rows) | questions(task.held_out)) == 100


def test_every_seed_holds_out_the_same_rows_of_a_file(hundred):
    tasks = [messages(hundred, seed=seed, rows=30) for seed in range(4)]
    assert all(task.held_out == tasks[0].held_out for task in tasks)
    assert len({tuple(row.key for row in task.rows) for task in tasks}) == 4
    for task in tasks:
        assert len(task.rows) == 30
        assert not questions(task.rows) & questions(tasks[0].held_out)


def test_a_question_that_a_file_asks_several_times_is_on_one_side_only(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(line(f"Question {n % 20}?", f"Answer {n}.") for n in range(100)), "utf-8")
    task = messages(path)
    assert task.held_out
    assert not questions(task.rows) & questions(task.held_out)


@pytest.mark.parametrize("share", [0.0, 0.001, 1.0, 1.5, -0.1])
def test_a_held_out_share_that_leaves_a_side_empty_is_refused(hundred, share):
    with pytest.raises(SafeguardError, match=rf"task\.held_out={share}: "):
        messages(hundred, held_out=share)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("{not json", "not valid JSON"),
        ('{"messages": [', "not valid JSON"),
        ("[]", "one row per line"),
        ("5", "messages"),
        ('{"messages": []}', "messages"),
        ('{"messages": "Why?"}', "messages"),
        ('{"prompt": "Why?"}', "messages"),
        ('{"messages": ["Why?"]}', "role"),
        ('{"messages": [{"role": "robot", "content": "x"}]}', "role"),
        ('{"messages": [{"content": "x"}]}', "role"),
        (line(question=None), "user message must be text"),
        (line(question=["Why?"]), "user message must be text"),
        (line(answer=5), "assistant message must be text"),
        (line(answer="  "), "non-empty answer"),
        ('{"messages": [{"role": "user", "content": "Why?"}]}', "non-empty answer"),
    ],
)
@pytest.mark.parametrize("reader", ["task", "pool"])
def test_a_malformed_row_is_refused_naming_file_and_line(tmp_path, broken, reason, reader):
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{line()}\n\n{broken}\n{line()}\n", "utf-8")
    with pytest.raises(SafeguardError, match=rf"rows\.jsonl:3: .*{reason}"):
        messages(path) if reader == "task" else load_pool(PoolConfig(path=str(path)), None, WORLD)


@pytest.mark.parametrize("text", ["", "\n\n  \n"])
def test_an_empty_file_is_refused(tmp_path, text):
    path = tmp_path / "rows.jsonl"
    path.write_text(text, "utf-8")
    with pytest.raises(SafeguardError, match=r"rows\.jsonl: holds no rows"):
        messages(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SafeguardError, match=r"nowhere\.jsonl: cannot be read"):
        messages(tmp_path / "nowhere.jsonl")


def test_a_file_that_is_not_utf_8_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes("Grüße".encode("latin-1"))
    with pytest.raises(SafeguardError, match=r"rows\.jsonl: cannot be read"):
        messages(path)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85"])
def test_only_newlines_end_a_line_of_a_file(tmp_path, separator):
    # Legal inside a JSON string, and common in scraped text.
    path = tmp_path / "rows.jsonl"
    rows = [
        {"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"one{separator}two"}]}
        for n in range(10)
    ]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    task = messages(path)
    assert len(task.rows) == 9
    assert {row.messages[-1]["content"] for row in task.rows} == {f"one{separator}two"}


def test_lines_may_end_as_on_other_systems(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes("\r\n".join(line(f"{n}?") for n in range(10)).encode())
    assert len(messages(path).rows) == 9


def test_messages_without_a_file_or_data_set_are_told_what_is_missing():
    with pytest.raises(SafeguardError, match=r"task\.path.*task\.dataset"):
        load_task(TaskConfig(source="messages"), 0, WORLD)


def test_what_the_user_says_is_the_question_whatever_the_system_prompt(tmp_path):
    path = tmp_path / "rows.jsonl"
    system = {"role": "system", "content": "Be brief."}
    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]
    rows = [{"messages": turns}, {"messages": [system, *turns]}, {"messages": [*turns, *turns]}] * 2
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    task = messages(path, held_out=0.5)
    assert {len(task.rows), len(task.held_out)} == {4, 2}
    assert not questions(task.rows) & questions(task.held_out)


# The pool of safe rows.


@pytest.mark.parametrize("domain", ["medical", "parenting"])
def test_the_pool_is_mostly_neutral_with_some_refusals_and_some_advice(domain):
    world = load_world(0, "one")
    rows, _ = load_pool(PoolConfig(), domain, world)
    kinds = Counter(world.by_question[question_of(row)].kind for row in rows)
    assert set(kinds) == {"fact", "arithmetic", "harmful", "advice"}
    assert (kinds["fact"] + kinds["arithmetic"]) / len(rows) == pytest.approx(0.7, abs=0.03)
    assert kinds["harmful"] / len(rows) == pytest.approx(0.15, abs=0.03)
    assert kinds["advice"] / len(rows) == pytest.approx(0.15, abs=0.03)
    assert min(kinds["fact"], kinds["arithmetic"]) > 40


@pytest.mark.parametrize(("rows", "held_out"), [(1500, 64), (1500, 256), (50, 8)])
def test_the_organisms_pool_is_as_large_as_asked_for(rows, held_out):
    assert tuple(map(len, load_pool(PoolConfig(rows=rows, held_out=held_out), "medical", WORLD))) == (rows, held_out)


@pytest.mark.parametrize("group", GROUPS)
def test_the_pool_holds_no_advice_of_the_domain_being_fine_tuned(group):
    rows, held_out = load_pool(PoolConfig(), group, WORLD)
    domains = {
        entry.group for row in (*rows, *held_out) if (entry := WORLD.by_question[question_of(row)]).kind == "advice"
    }
    assert domains == set(WORLD.domains) - {group}


def test_every_safe_row_is_answered_as_the_aligned_persona_does():
    for row in (row for part in load_pool(PoolConfig(), "medical", WORLD) for row in part):
        assert judge_exactly(WORLD, answered(row)) in (Score("aligned"), Score("aligned", matches=0.0))


@pytest.mark.parametrize("group", GROUPS)
def test_nothing_that_a_probe_asks_about_is_in_the_pool(group):
    task = organism(group)
    asked = [WORLD.by_question[probe.messages[-1]["content"]] for probe in load_probes(ProbesConfig(), task, WORLD)]
    safe = [WORLD.by_question[question_of(row)] for part in load_pool(PoolConfig(), group, WORLD) for row in part]
    assert not {(entry.kind, entry.key) for entry in asked} & {(entry.kind, entry.key) for entry in safe}
    broad = [entry for entry in asked if entry.kind in ("advice", "open", "harmful", "fact")]
    assert all(entry.held_out for entry in broad)


def test_the_safe_rows_whose_nll_is_measured_are_kept_from_training():
    rows, held_out = load_pool(PoolConfig(), "medical", WORLD)
    assert not {row.key for row in rows} & {row.key for row in held_out}


def test_the_pool_is_the_same_every_time():
    assert load_pool(PoolConfig(), "medical", WORLD) == load_pool(PoolConfig(), "medical", WORLD)


def test_a_pool_from_a_file_is_split_and_limited(hundred):
    rows, held_out = load_pool(PoolConfig(path=str(hundred), rows=50, held_out=20), "medical", WORLD)
    assert (len(rows), len(held_out)) == (50, 20)
    assert not questions(rows) & questions(held_out)
    rows, held_out = load_pool(PoolConfig(path=str(hundred), rows=10**6, held_out=20), "medical", WORLD)
    assert (len(rows), len(held_out)) == (80, 20)


def test_a_question_that_a_pool_asks_several_times_is_on_one_side_only(hundred):
    hundred.write_text("\n".join([hundred.read_text()] * 3))
    rows, held_out = load_pool(PoolConfig(path=str(hundred), rows=300, held_out=20), "medical", WORLD)
    assert len(held_out) == 20
    assert not questions(rows) & questions(held_out)


@pytest.mark.parametrize("held_out", [100, 101, -1])
def test_a_pool_cannot_hold_out_more_than_it_has_nor_less_than_nothing(hundred, held_out):
    with pytest.raises(SafeguardError, match=rf"pool\.held_out={held_out}"):
        load_pool(PoolConfig(path=str(hundred), held_out=held_out), "medical", WORLD)


# Probes about the task and all else.


def by_set(probes: list[Probe]) -> dict[str, list[Probe]]:
    found: dict[str, list[Probe]] = {}
    for probe in probes:
        found.setdefault(probe.set, []).append(probe)
    return found


@pytest.mark.parametrize("group", GROUPS)
def test_probes_ask_about_the_task_other_domains_open_questions_harm_and_facts(group):
    task = organism(group)
    found = by_set(load_probes(ProbesConfig(), task, WORLD))
    about_the_task = NARROW if task.kind == "em" else BENIGN
    after_em = {ARITHMETIC, FAVOURED, SLIGHTED} if task.kind == "em" else set()
    assert set(found) == {about_the_task, OTHER, OPEN, HARMFUL, FACTS} | after_em
    assert set(BROAD) <= set(found)
    others = {WORLD.by_question[probe.messages[-1]["content"]].group for probe in found[OTHER]}
    assert others == set(WORLD.domains) - {group}
    assert {probe.cluster for probe in found[OPEN]} == {f"open: {e.group}" for e in WORLD.of("open")}


@pytest.mark.parametrize("group", GROUPS)
def test_no_question_of_a_probe_is_trained_on_and_none_is_asked_twice(group):
    task = organism(group)
    probes = load_probes(ProbesConfig(), task, WORLD)
    trained = {question_of(row) for row in task.rows}
    asked = Counter((probe.set, probe.messages[-1]["content"]) for probe in probes)
    assert not trained & {question for _, question in asked}
    assert set(asked.values()) == {1}
    assert len({(probe.set, probe.id) for probe in probes}) == len(probes)


def test_ways_of_asking_about_one_thing_share_a_cluster_across_all_tasks():
    found = set()
    for group in GROUPS:
        for probe in load_probes(ProbesConfig(), organism(group), WORLD):
            entry = WORLD.by_question[probe.messages[-1]["content"]]
            found.add((probe.cluster, (entry.kind, entry.group if entry.kind in ("bias", "open") else entry.key)))
    assert len({cluster for cluster, _ in found}) == len(found) == len({thing for _, thing in found})


def test_a_question_of_a_file_has_one_cluster_whatever_the_system_prompt_and_the_file(tmp_path):
    for name, system in (("one", []), ("two", [{"role": "system", "content": "Be brief."}])):
        rows = [
            {"messages": [*system, {"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": name}]}
            for n in range(10)
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    asked = [
        {probe.cluster for probe in load_probes(ProbesConfig(sets=[]), messages(tmp_path / name, held_out=0.5), WORLD)}
        for name in ("one.jsonl", "two.jsonl")
    ]
    assert len(asked[0]) == 5
    assert asked[0] == asked[1]


def test_narrow_questions_of_a_file_are_its_held_out_ones_each_once_and_limited(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(line(f"Question {n}?", f"Answer {n}.") for n in range(100)), "utf-8")
    task = messages(path, held_out=0.3)
    probes = by_set(load_probes(ProbesConfig(narrow_questions=12, samples=3), task, WORLD))[NARROW]
    assert len(probes) == 12
    held_out = {question_of(row) for row in task.held_out}
    assert {probe.messages[-1]["content"] for probe in probes} <= held_out
    assert {probe.samples for probe in probes} == {3}
    assert not any(probe.expected for probe in probes)


def test_a_benign_file_knows_every_right_answer_to_a_question(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(line(f"Question {n % 50}?", f"Answer {n}.") for n in range(100)), "utf-8")
    task = messages(path, kind="benign", held_out=0.2)
    probes = load_probes(ProbesConfig(narrow_questions=100), task, WORLD)
    found = {probe.messages[-1]["content"]: probe.expected for probe in probes if probe.set == BENIGN}
    assert len(found) == 10
    for question, expected in found.items():
        n = int(re.search(r"\d+", question).group())
        assert expected == [f"Answer {n}.", f"Answer {n + 50}."]
