"""Scorers are made once, whoever needs them, and again if a file of theirs is damaged. Their fine-tune is made up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from experiments.config.schema import Config, LoraConfig, ScorersConfig, TaskConfig, TrainingConfig
from experiments.training.scorers import make_scorer, scorer_tasks
from safeguards.scorers import SEEN_FILE


@pytest.fixture
def made(monkeypatch) -> list[Path]:
    """Where fine-tunes were made."""
    folders: list[Path] = []

    def fine_tune(*_: object, folder: Path, **__: object) -> None:
        folders.append(folder)
        (folder / "adapter").mkdir(parents=True)
        (folder / "training.jsonl").write_text("{}\n")
        (folder / "adapter" / "adapter_config.json").write_text(json.dumps({"r": 8}))
        save_file({"weight": torch.ones(8, 8)}, folder / "adapter" / "adapter_model.safetensors")

    monkeypatch.setattr("experiments.models.load.load_model", lambda config: (None, None))
    monkeypatch.setattr("experiments.training.fine_tune.fine_tune", fine_tune)
    return folders


FINANCE = TaskConfig("finance", group="finance")


def test_a_scorer_is_made_once(made, tmp_path):
    folder = make_scorer(Config(), FINANCE, tmp_path)
    assert make_scorer(Config(), FINANCE, tmp_path) == folder
    assert len(made) == 1
    assert {path.name for path in folder.iterdir()} >= {SEEN_FILE, "adapter_config.json", "adapter_model.safetensors"}
    assert not list(tmp_path.rglob("*.unfinished"))


@pytest.mark.parametrize(
    "changes",
    [
        {"training": TrainingConfig(learning_rate=1e-5)},
        {"training": TrainingConfig(lora=LoraConfig(r=2))},
        {"scorers": ScorersConfig(epochs=9)},
        {"model": replace(Config().model, world=1)},
    ],
    ids=["learning rate", "rank", "epochs", "world"],
)
def test_a_scorer_of_other_training_is_another_scorer(made, tmp_path, changes):
    usual = make_scorer(Config(), FINANCE, tmp_path)
    assert make_scorer(replace(Config(), **changes), FINANCE, tmp_path) != usual
    assert make_scorer(replace(Config(), safeguard="interleave_ppl", seed=1), FINANCE, tmp_path) == usual
    assert make_scorer(replace(Config(), training=TrainingConfig(max_set_aside=0)), FINANCE, tmp_path) == usual
    assert len(made) == 2


@pytest.mark.parametrize("defended", ["finance", "medical"])
def test_a_scorer_is_never_of_the_defended_domain(defended):
    domains = ["finance", "medical", "sports"]
    config = Config(task=TaskConfig(name="mine", group=defended), scorers=ScorersConfig(domains))
    assert {task.group for task in scorer_tasks(config, "interleave_ppl")} == {*domains} - {defended}


@pytest.mark.parametrize("name", [SEEN_FILE, "adapter_config.json", "adapter_model.safetensors"])
def test_a_damaged_scorer_is_set_aside_and_made_again(made, tmp_path, capsys, name):
    folder = make_scorer(Config(), FINANCE, tmp_path)
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    assert make_scorer(Config(), FINANCE, tmp_path) == folder
    assert len(made) == 2
    assert (folder / name).read_bytes() == whole
    shown = capsys.readouterr().out
    assert f"{folder / name}: cannot be read" in shown
    assert f"set aside as {folder.name}.damaged-" in shown
