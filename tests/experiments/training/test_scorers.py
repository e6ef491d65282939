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
from safeguards.rows import Row
from safeguards.scorers import SEEN_FILE


@pytest.fixture
def made(monkeypatch) -> list[Path]:
    """Where fine-tunes were made."""
    folders: list[Path] = []

    class Made:
        def __init__(self, config: Config, loaded: None, folder: Path, rows: list[Row]) -> None:
            assert (config.safeguard, config.seed) == ("none", 0)
            self.folder = folder

        def fine_tune(self) -> None:
            folders.append(self.folder)
            (self.folder / "adapter").mkdir(parents=True)
            (self.folder / "training.jsonl").write_text("{}\n")
            (self.folder / "adapter" / "adapter_config.json").write_text(json.dumps({"r": 8}))
            save_file({"weight": torch.ones(8, 8)}, self.folder / "adapter" / "adapter_model.safetensors")

    monkeypatch.setattr("experiments.models.lend.lend_model", lambda config: None)
    monkeypatch.setattr("experiments.training.fine_tune.FineTune", Made)
    return folders


@pytest.fixture
def usual(tmp_path) -> Config:
    return Config(output=str(tmp_path))


FINANCE = TaskConfig("finance", group="finance")


def test_a_scorer_is_made_once(made, usual, tmp_path):
    folder = make_scorer(usual, FINANCE)
    assert make_scorer(usual, FINANCE) == folder
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
def test_a_scorer_of_other_training_is_another_scorer(made, usual, changes):
    folder = make_scorer(usual, FINANCE)
    assert make_scorer(replace(usual, **changes), FINANCE) != folder
    assert make_scorer(replace(usual, safeguard="interleave_ppl", seed=1), FINANCE) == folder
    assert make_scorer(replace(usual, training=TrainingConfig(max_set_aside=0, checkpoint_steps=5)), FINANCE) == folder
    assert len(made) == 2


@pytest.mark.parametrize("defended", ["finance", "medical"])
def test_a_scorer_is_never_of_the_defended_domain(defended):
    domains = ["finance", "medical", "sports"]
    config = Config(task=TaskConfig(name="mine", group=defended), scorers=ScorersConfig(domains))
    assert {task.group for task in scorer_tasks(config, "interleave_ppl")} == {*domains} - {defended}


@pytest.mark.parametrize("name", [SEEN_FILE, "adapter_config.json", "adapter_model.safetensors"])
def test_a_damaged_scorer_is_set_aside_and_made_again(made, usual, capsys, name):
    folder = make_scorer(usual, FINANCE)
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    assert make_scorer(usual, FINANCE) == folder
    assert len(made) == 2
    assert (folder / name).read_bytes() == whole
    shown = capsys.readouterr().out
    assert f"{folder / name}: cannot be read" in shown
    assert f"set aside as {folder.name}.damaged-" in shown
