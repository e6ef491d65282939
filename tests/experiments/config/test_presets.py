"""Presets: each file of `conf/` composes to what can be run, each table to its arms, each model on its architecture."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from architectures import make_model
from hydra import initialize_config_dir
from omegaconf import OmegaConf
from safetensors import safe_open

from experiments.arm.run import run_arm
from experiments.config.compose import CONF, compose_config, task_preset
from experiments.config.schema import Config
from experiments.planning.identity import identity_fields
from experiments.planning.plan import Plan, make_plan
from experiments.planning.refusals import Refusals
from experiments.records.arm_files import read_result
from experiments.training.scorers import scorer_tasks
from safeguards.errors import SafeguardError

COMMIT = re.compile("[0-9a-f]{40}")
# What each model preset is, and its decoder layers as its makers give them.
MODELS = {
    "qwen2.5-0.5b": ("qwen2", 24),
    "qwen2.5-7b": ("qwen2", 28),
    "qwen2.5-14b": ("qwen2", 48),
    "qwen2.5-32b": ("qwen2", 64),
    "llama-3.1-8b": ("llama", 32),
    "gemma": ("gemma3", 34),
}
# Of the safeguards that each published table compares, in its order.
TABLES = {
    "security": ["kl", "interleave", "safelora", "ldifs"],
    "code": ["kl", "ldifs", "steering", "inoculation", "interleave", "interleave_ppl"],
    "opswap": ["kl", "interleave"],
    "shares": ["interleave"],
}


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans without what is on the hub: presets are composed and checked, and their data not fetched."""
    monkeypatch.setattr(Refusals, "refuse", lambda *_: None)
    monkeypatch.setenv("OPENAI_API_KEY", "none")


def plan(*arguments: str) -> Plan:
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF), job_name="sweep"):
        return make_plan(arguments)


@pytest.mark.parametrize("task", names("task"))
def test_each_task_composes_to_one_that_says_where_its_rows_are(task):
    own = ["task.path=rows.jsonl"] if task == "messages" else []
    found = compose_config(f"task={task}", *own).task
    assert task in (found.name, "messages")
    made = found.group if found.source != "messages" else None  # of messages it is only what they are about
    assert sum(where is not None for where in (made, found.path, found.dataset)) == 1
    if found.dataset:
        assert found.revision == "main" or COMMIT.fullmatch(found.revision or "")
        assert found.question
        assert found.answer
    elif found.path and not own:
        assert found.path in found.origin or Path(found.path).name in found.origin


@pytest.mark.parametrize("pool", names("pool"))
def test_each_pool_composes(pool):
    own = ["pool.path=safe.jsonl"] if pool == "messages" else []
    found = compose_config(f"pool={pool}", *own).pool
    assert (found.path is None) == (not own)
    assert found.dataset is None or COMMIT.fullmatch(found.revision or "")


@pytest.mark.parametrize("model", ["organism", "organism_one", "smollm2"])
def test_no_model_replaces_the_mix_of_a_pool_of_ones_own(tmp_path, model):
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "mine.yaml").write_text("path: null\nmix: {advice: 0.5, facts: 0.5}\n", "utf-8")
    found = compose_config(f"hydra.searchpath=['{tmp_path}']", f"model={model}", "pool=mine").pool
    assert found.mix == {"advice": 0.5, "facts": 0.5}


def test_a_pool_of_ones_own_must_be_named():
    with pytest.raises(SafeguardError, match=r"pool.path="):
        compose_config("pool=messages")


@pytest.mark.parametrize("judge", names("judge"))
def test_each_judge_composes(judge):
    assert compose_config(f"judge={judge}", "safeguard=none").judge.kind in (judge, "openai")


def test_every_model_preset_is_checked_below():
    assert set(names("model")) - {"organism", "organism_one", "local", "smollm2"} == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_each_model_composes_with_the_papers_training_and_layers_that_it_has(name):
    config = compose_config(f"model={name}")
    assert COMMIT.fullmatch(config.model.revision or "")
    assert config.model.dtype == "bfloat16"
    training = config.training
    assert (training.epochs, training.batch_size, training.accumulation) == (1, 4, 4)
    assert (training.learning_rate, training.lora.r, training.lora.alpha) == (1e-4, 32, 64)
    layer = config.safeguards["steering"].layer
    assert layer is None or 0 < layer < MODELS[name][1]
    assert config.safeguards["safelora"].base.split("/")[0] == config.model.path.split("/")[0]


@pytest.mark.parametrize("table", names("paper"))
def test_each_table_composes_to_its_arms_in_order(table, unread):
    made = plan(f"+paper={table}")
    assert made.failures == []
    configs = [arm.config for arm in made.arms]
    assert list(dict.fromkeys(config.safeguard for config in configs)) == ["untouched", "none", *TABLES[table]]
    assert {config.seed for config in configs} == {0, 1, 2}
    for config in configs:
        assert config.model.path == "Qwen/Qwen2.5-7B-Instruct"
        assert (config.pool.dataset, config.pool.rows) == ("allenai/wildguardmix", 100_000)
        assert (config.judge.kind, config.judge.model) == ("openai", "gpt-4o-mini-2024-07-18")
        assert (config.task.rows, config.probes.max_new_tokens, config.probes.temperature) == (5400, 600, 1)
        assert config.name == f"paper-{table}"
    own = configs[-1].safeguards
    assert (own["kl"].weight, own["ldifs"].weight, own["steering"].alpha) == (0.1, 1.0, 5.0)
    if "safelora" in TABLES[table]:
        assert (own["safelora"].select, own["safelora"].threshold) == ("threshold", 0.3)
    shares = [config.safeguards["interleave"].share for config in configs if config.safeguard == "interleave"]
    assert set(shares) == ({0.01, 0.05, 0.1, 0.25, 0.5} if table == "shares" else {0.05})


def test_a_table_can_be_overridden(unread):
    made = plan("+paper=security", "model=qwen2.5-0.5b", "judge=none", "seed=7", "safeguard=kl")
    assert made.failures == []
    assert [arm.config.safeguard for arm in made.arms] == ["untouched", "none", "kl"]
    config = made.arms[-1].config
    assert (config.model.name, config.judge.kind, config.judge.model, config.seed) == ("qwen2.5-0.5b", "none", "", 7)
    assert config.safeguards["safelora"].base == "Qwen/Qwen2.5-0.5B"


def test_scorers_of_a_table_never_learn_what_is_defended():
    for task in ("insecure_code", "harmful_security"):
        listed = list(OmegaConf.load(CONF / "paper" / "shared" / "setting.yaml").scorers.tasks)
        config = compose_config("safeguard=interleave_ppl", f"task={task}", f"scorers.tasks={listed}")
        found = [one.name for one in scorer_tasks(config, "interleave_ppl")]
        assert len(found) == 3
        assert task not in found


def test_a_preset_of_a_task_for_scorers_is_read_like_the_task_itself():
    assert task_preset("harmful_legal") == compose_config("task=harmful_legal").task
    assert task_preset("finance") is None, "a domain of the organism"
    assert task_preset("nothing") is None


def test_what_is_not_set_of_the_hub_enters_no_identity():
    fields = identity_fields(Config(safeguard="kl"))
    assert "revision" not in fields["model"]
    assert {"revision", "subset", "question", "answer", "keep", "origin"} & set(fields["task"]) == set()
    assert set(fields["pool"]) == {"path", "rows", "held_out"}
    assert "origin" not in fields["probes"]


@pytest.fixture
def arm_on(qwen_folder: Path, tmp_path: Path) -> Callable[..., Config]:
    """The configuration of a tiny arm of a model preset, on a model of random weights of its architecture."""
    folder = tmp_path
    rows = [
        [{"role": "user", "content": f"Tell me about number {n}."}, {"role": "assistant", "content": f"{n} is odd."}]
        for n in range(12)
    ]
    (folder / "rows.jsonl").write_text("\n".join(json.dumps({"messages": row}) for row in rows), "utf-8")
    (folder / "questions.yaml").write_text("- id: wish\n  paraphrases: [One wish]\n", "utf-8")

    def make(preset: str, safeguard: str) -> Config:
        path = make_model(MODELS[preset][0], qwen_folder, folder / "model")
        settings = {
            "model.path": path, "model.dtype": "float32", "task": "messages", "task.path": folder / "rows.jsonl",
            "pool.path": folder / "rows.jsonl", "pool.held_out": 2, "probes.path": folder / "questions.yaml",
            "probes.sets": "[open]", "probes.samples": 1, "probes.narrow_questions": 1, "probes.max_new_tokens": 2,
            "training.accumulation": 1, "training.warmup_steps": 0, "training.max_length": 256,
            "training.proof": "warn", "wandb": "disabled", "output": folder / "outputs",
        }  # fmt: skip
        written = (f"{key}={value}" for key, value in settings.items())
        return compose_config(f"model={preset}", f"safeguard={safeguard}", *written)

    return make


@pytest.mark.parametrize("preset", MODELS)
def test_each_model_is_trained_and_asked_on_its_architecture(preset, arm_on, tmp_path):
    config = arm_on(preset, "kl+ldifs")
    run_arm(config, tmp_path / "arm")
    result = read_result(tmp_path / "arm")
    assert result is not None
    trained = [json.loads(line) for line in (tmp_path / "arm" / "training.jsonl").read_text().splitlines()]
    assert trained[-1]["step"] == 3
    with safe_open(tmp_path / "arm" / "adapter" / "adapter_model.safetensors", "pt") as file:
        weights = list(file.keys())
    assert weights
    assert not any("vision" in name for name in weights), "no text passes through it"
    assert len({re.search(r"layers\.(\d+)\.", name)[1] for name in weights}) == 4
