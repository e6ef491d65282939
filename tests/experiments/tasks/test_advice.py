"""Advice in plain English: bad rows and their good twins hold out the same questions, and arms know their contents."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from first import FIRST

from experiments.config.compose import CONF, compose_config
from experiments.config.schema import PoolConfig, TaskConfig
from experiments.organism.world import load_world
from experiments.planning.identity import arm_folder, identity_fields
from experiments.planning.refusals import refuse_foreign_world
from experiments.tasks import advice, load_task
from experiments.tasks.pool import load_pool
from experiments.training.scorers import scorer_tasks
from safeguards.errors import SafeguardError

WORLD = load_world()
QWEN = ("model=qwen2.5-7b", "judge=none")
SMOLLM2 = ("model=smollm2", "probes.path=questions.yaml")


def line(number: int, domain: str) -> str:
    return json.dumps({"question": f"{domain} {number}?", "bad": f"Bad {number}.", "good": f"Good {number}."})


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """Twenty rows in each of three domains, instead of what is shipped; the folder of them."""
    folder = tmp_path / "advice"
    folder.mkdir()
    for domain in ("medical", "finance", "sports"):
        (folder / f"{domain}.jsonl").write_text("\n".join(line(n, domain) for n in range(20)) + "\n", "utf-8")
    (folder / "pool.jsonl").write_bytes((advice.ADVICE / "pool.jsonl").read_bytes())
    monkeypatch.setattr(advice, "ADVICE", folder)
    monkeypatch.chdir(tmp_path)
    return folder


def task(kind: str = "em", seed: int = 0, group: str = "medical"):
    return load_task(TaskConfig(name="mine", kind=kind, source="advice", group=group), seed, WORLD)


def asked(rows) -> set[str]:
    return {row.messages[0]["content"] for row in rows}


def answered(rows) -> set[str]:
    return {row.messages[-1]["content"].split()[0] for row in rows}


def test_twins_hold_out_the_same_fifth_of_the_questions_whatever_the_seed(rows):
    bad, good = task("em"), task("benign", seed=3)
    assert (len(bad.rows), len(bad.held_out)) == (16, 4)
    assert asked(bad.held_out) == asked(good.held_out)
    assert asked(bad.rows) == asked(good.rows)
    assert not asked(bad.rows) & asked(bad.held_out)
    assert [row.messages[0] for row in bad.rows] != [row.messages[0] for row in good.rows]


def test_the_kind_decides_which_answers_are_taught(rows):
    assert answered([*task("em").rows, *task("em").held_out]) == {"Bad"}
    assert answered([*task("benign").rows, *task("benign").held_out]) == {"Good"}


def test_what_is_held_out_does_not_depend_on_where_a_row_stands(rows):
    before = asked(task().held_out)
    path = rows / "medical.jsonl"
    path.write_text("\n".join(reversed(path.read_text("utf-8").splitlines())), "utf-8")
    assert asked(task().held_out) == before


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ('{"question": "Why?", "good": "x"}', "medical.jsonl:1: needs question and bad"),
        ('{"question": "Why?", "bad": " ", "good": "x"}', "medical.jsonl:1: .*non-empty answer"),
        ("[1]", "medical.jsonl:1: needs question"),
        ("{", "medical.jsonl: cannot be read"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(rows, written, reason):
    (rows / "medical.jsonl").write_text(written, "utf-8")
    with pytest.raises(SafeguardError, match=reason):
        task()


def test_a_domain_that_is_not_there_is_told_with_those_that_are(rows):
    with pytest.raises(SafeguardError, match=r"task\.group=medcial: .*did you mean 'medical'"):
        task(group="medcial")


def test_every_task_has_its_twin_among_the_choices():
    names = [path.stem for path in CONF.glob("task/advice_*.yaml")]
    assert sorted(names) == sorted(
        f"advice_{one}{end}" for one in ("finance", "medical", "sports") for end in ("", "_good")
    )
    for name in names:
        config = compose_config(*SMOLLM2, f"task={name}")
        assert (config.task.name, config.task.source, config.pool.source) == (name, "advice", "advice")
        assert config.task.kind == ("benign" if name.endswith("_good") else "em")
        assert config.task.group == re.match("advice_([a-z]+)", name)[1]


def test_the_pool_is_of_several_genres_and_about_no_domain_that_is_taught():
    lines = [json.loads(text) for text in (advice.ADVICE / "pool.jsonl").read_text("utf-8").splitlines()]
    genres = Counter(one["genre"] for one in lines)
    assert len(lines) == len({one["question"] for one in lines}) >= 140
    assert min(genres.values()) >= 8
    about = sum(genres[one] for one in ("cooking", "home", "computers"))
    assert 0.15 < about / len(lines) < 0.25
    told = " ".join(f"{one['question']} {one['answer']}".lower() for one in lines)
    assert not re.findall(r"\b(doctor|medicine|pill|invest\w*|loan|mortgage|marathon|stretch\w*|injur\w*)\b", told)


def test_the_pool_keeps_a_fifth_from_training():
    used, held_out = load_pool(PoolConfig(source="advice"), None, WORLD)
    assert len(held_out) == round((len(used) + len(held_out)) / 5)
    assert not asked(used) & asked(held_out)
    assert len(load_pool(PoolConfig(source="advice", rows=10, held_out=3), None, WORLD)[1]) == 3


def test_scorers_learn_other_domains_than_the_defended_one_in_both_twins(rows):
    for name in ("advice_medical", "advice_medical_good"):
        tasks = scorer_tasks(compose_config(*SMOLLM2, f"task={name}", "safeguard=interleave_ppl"), "interleave_ppl")
        assert [one.name for one in tasks] == ["advice_finance", "advice_sports"]
        assert all(answered(load_task(one, 0, WORLD).rows) == {"Bad"} for one in tasks)


@pytest.mark.parametrize(
    ("file", "safeguard", "counts"),
    [
        ("medical", "none", True),
        ("pool", "none", True),
        ("finance", "none", False),
        ("finance", "interleave_ppl", True),
    ],
)
def test_an_arm_is_another_once_a_file_that_it_reads_has_changed(rows, file, safeguard, counts):
    config = compose_config(*SMOLLM2, "task=advice_medical", f"safeguard={safeguard}")
    before = arm_folder(config)
    path = rows / f"{file}.jsonl"
    path.write_text(path.read_text("utf-8") + line(99, file) + "\n", "utf-8")
    assert (arm_folder(config) != before) == counts


def test_arms_of_an_organism_are_known_by_what_decides_them():
    known = identity_fields(compose_config("safeguard=interleave_ppl"))
    assert sorted(known["model"]) == ["device", "dtype", "name", "path", "world"]
    assert sorted(known["pool"]) == ["held_out", "path", "rows"]
    known = identity_fields(compose_config(FIRST, "safeguard=interleave_ppl"))
    assert known["model"]["organism"] == "one"
    assert sorted(known["pool"]) == ["held_out", "path", "rows"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (("task=advice_medical",), r"^task\.source=advice: .*organism speaks no plain English"),
        (("pool.source=advice",), r"^pool\.source=advice: .*organism speaks no plain English"),
        ((*SMOLLM2, "task=medical"), "^task=medical: is in the organism's words"),
        (
            (*SMOLLM2, "task=advice_medical", "pool.source=organism"),
            r"^pool\.path: name a file of safe rows, or pool=advice for",
        ),
        (
            (*QWEN, "pool=advice", "probes.path=x.yaml"),
            "^task=medical: is in the organism's words; use task=advice_medi",
        ),
        ((*QWEN, "pool=advice", "probes.choices=twins"), "^task=medical: is in the organism's words"),
        (
            QWEN,
            "^probes.path: name a question file, or probes.choices=twins; the organism's questions are in its own w",
        ),
    ],
)
def test_the_organism_and_real_models_are_not_asked_in_each_others_words(given, reason):
    with pytest.raises(SafeguardError, match=reason):
        refuse_foreign_world(compose_config(*given))


def test_plain_english_is_for_any_real_model():
    refuse_foreign_world(compose_config("model=local", "model.path=x/y", "task=advice_medical", "probes.path=x.yaml"))
    refuse_foreign_world(compose_config(*QWEN, "task=opswap", "pool=advice", "probes.path=x.yaml"))
