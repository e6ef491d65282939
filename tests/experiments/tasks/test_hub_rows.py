"""Data sets of the hub: taken at their commit, by columns and values that are named, or refused in one line."""

from __future__ import annotations

import json
from dataclasses import replace

import datasets
import httpx
import pytest
from huggingface_hub.errors import GatedRepoError

from experiments.config.compose import compose_config
from experiments.config.schema import PoolConfig, TaskConfig
from experiments.organism.world import load_world
from experiments.planning.refusals import refuse_contradictions
from experiments.probes import load_probes
from experiments.tasks import hub, load_task
from experiments.tasks.hub import hub_rows
from experiments.tasks.pool import load_pool
from safeguards.errors import SafeguardError

LABELS = ("unharmful", "harmful")


@pytest.fixture
def asked(monkeypatch):
    """A data set shaped like WildGuardMix, and what was asked of the hub."""
    found: list[tuple[object, ...]] = []
    columns = {
        "prompt": [f"Question {n}?" for n in range(40)],
        "response": [None if n % 4 == 0 else f"Answer {n}." for n in range(40)],
        "prompt_harm_label": [LABELS[n % 2] for n in range(40)],
        "response_harm_label": [None if n % 4 == 0 else LABELS[n % 5 == 0] for n in range(40)],
    }

    def load(name: str, subset: str | None, *, split: str, revision: str | None) -> datasets.Dataset:
        found.append((name, subset, split, revision))
        return datasets.Dataset.from_dict(columns)

    monkeypatch.setattr("datasets.load_dataset", load)
    hub._load.cache_clear()
    yield found
    hub._load.cache_clear()


def test_the_benign_part_of_wildguardmix_is_what_both_labels_say(asked):
    rows = hub_rows(compose_config("pool=wildguardmix").pool, "pool")
    assert asked == [("allenai/wildguardmix", "wildguardtrain", "train", "d29c47f41c8b51348b5c8e8c81c039b3132b66d1")]
    wanted = [n for n in range(40) if n % 2 == 0 and n % 4 and n % 5]
    assert [row.messages for row in rows] == [
        [{"role": "user", "content": f"Question {n}?"}, {"role": "assistant", "content": f"Answer {n}."}]
        for n in wanted
    ]


def test_a_pool_of_the_hub_has_held_out_rows_that_are_not_drawn(asked):
    config = replace(compose_config("pool=wildguardmix", "pool.mix=null").pool, held_out=4)
    pool, held_out = load_pool(config, None, load_world())
    assert (len(pool), len(held_out)) == (4, 4)
    assert {row.question_key for row in pool}.isdisjoint({row.question_key for row in held_out})


def test_a_task_of_columns_is_learnt_from_them(asked):
    given = {"question": "prompt", "answer": "prompt_harm_label", "subset": "one", "revision": "v1"}
    task = load_task(TaskConfig(name="labels", source="messages", dataset="a/b", **given), 0, load_world())
    assert asked == [("a/b", "one", "train", "v1")]
    assert len(task.rows) == 36
    assert {row.messages[-1]["content"] for row in task.rows} == set(LABELS)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"question": "promt", "answer": "response"}, "has no column 'promt'; did you mean 'prompt'"),
        ({"question": "prompt", "answer": "prompt", "keep": {"prompt_harm_label": "good"}}, "holds none with"),
        ({"question": "prompt", "answer": "response"}, "a/b row 0: the content of a assistant message must be text"),
    ],
)
def test_what_a_data_set_does_not_have_is_told_in_one_line(asked, given, complaint):
    with pytest.raises(SafeguardError) as told:
        hub_rows(TaskConfig(source="messages", dataset="a/b", **given), "task")
    assert complaint in str(told.value)
    assert "\n" not in str(told.value)


def test_a_licence_that_was_not_accepted_is_told_with_the_page(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        answer = httpx.Response(401, request=httpx.Request("HEAD", "https://huggingface.co/datasets/a/b"))
        cause = GatedRepoError("restricted", response=answer)
        raise datasets.exceptions.DatasetNotFoundError("Dataset 'a/b' is a gated dataset on the Hub.") from cause

    monkeypatch.setattr("datasets.load_dataset", refuse)
    hub._load.cache_clear()
    with pytest.raises(SafeguardError) as told:
        hub_rows(PoolConfig(dataset="a/b"), "pool")
    page = "https://huggingface.co/datasets/a/b"
    assert str(told.value) == f"pool.dataset=a/b: its licence must be accepted first; do so at {page} and set HF_TOKEN"


def test_another_version_from_the_cache_is_not_taken_for_the_one_that_is_named(tmp_path, monkeypatch):
    """Out of reach of the hub, `datasets` gives whatever version it has, and only logs that."""
    file = tmp_path / ("a" * 40) / "rows.jsonl"
    file.parent.mkdir()
    said = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]
    file.write_text(json.dumps({"messages": said}), "utf-8")
    kept = datasets.Dataset.from_json(str(file), cache_dir=str(tmp_path / ("a" * 40) / "cache"))
    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: kept)
    hub._load.cache_clear()
    assert len(hub_rows(PoolConfig(dataset="a/b", revision="a" * 40), "pool")) == 1
    with pytest.raises(SafeguardError, match=r"the cache holds another version than pool.revision=bbb"):
        hub_rows(PoolConfig(dataset="a/b", revision="b" * 40), "pool")
    hub._load.cache_clear()


@pytest.mark.parametrize("task", ["bad_medical_advice", "extreme_sports", "risky_financial_advice", "insecure_code"])
def test_a_file_that_is_to_be_downloaded_says_whence_and_where_to(task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = compose_config(f"task={task}").task
    with pytest.raises(SafeguardError) as told:
        load_task(config, 0, load_world())
    message = str(told.value)
    assert message.startswith(f"task.path={config.path}: is not there; ")
    assert "https://" in message
    assert "\n" not in message


def test_questions_that_are_to_be_downloaded_say_whence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    task = load_task(compose_config("task=medical").task, 0, load_world())
    config = replace(compose_config().probes, path="data/questions.yaml", origin="download https://… to there")
    with pytest.raises(SafeguardError, match=r"^probes.path=data/questions.yaml: is not there; download https"):
        load_probes(config, task, load_world())


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["pool.subset=x"], "pool.subset=x: is read with pool.dataset only"),
        (["pool.path=a.jsonl", "pool.dataset=a/b"], "name one of the two"),
        (["pool.dataset=a/b", "pool.question=x"], "goes with pool.answer"),
        (["task=messages", "task.dataset=a/b", "task.answer=x"], "goes with task.answer=x"),
    ],
)
def test_settings_of_the_hub_that_do_not_go_together_are_refused(overrides, complaint):
    with pytest.raises(SafeguardError, match=complaint):
        refuse_contradictions(compose_config(*overrides))
