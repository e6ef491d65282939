"""Where a sweep is tracked is written down, without secrets, and the environment can say otherwise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from made import forget_wandb

from experiments.config.schema import Config
from experiments.tracking.record import FILE, mode_of, settle, trackers_of, tracking_of
from safeguards.errors import SafeguardError


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(name="demo", output=str(tmp_path / "outputs"))


def test_ids_are_the_same_for_the_same_arm_and_others_for_a_sweep_elsewhere(config, tmp_path, monkeypatch):
    forget_wandb(monkeypatch, tmp_path)
    first, again = settle(config), settle(config)
    assert first == again == tracking_of(tmp_path / "outputs" / "demo")
    assert first.run_id("kl") == again.run_id("kl") != first.run_id("none")
    elsewhere = settle(replace(config, output=str(tmp_path / "elsewhere")))
    assert elsewhere.run_id("kl") != first.run_id("kl")


def test_the_default_is_wandb_offline_in_a_project_of_ours(config, tmp_path, monkeypatch):
    forget_wandb(monkeypatch, tmp_path)
    found = settle(config)
    assert (found.trackers, found.wandb, found.project) == (["wandb"], "offline", "safeguards")
    assert (found.entity, found.group) == (None, "demo")


def test_the_environment_names_another_place_which_later_commands_know(config, tmp_path, monkeypatch):
    own = {"WANDB_PROJECT": "mine", "WANDB_ENTITY": "team", "WANDB_RUN_GROUP": "week 3", "WANDB_MODE": "online"}
    forget_wandb(monkeypatch, tmp_path, **own)
    settle(config)
    forget_wandb(monkeypatch, tmp_path)
    later = tracking_of(tmp_path / "outputs" / "demo")
    assert (later.project, later.entity, later.group, later.wandb) == ("mine", "team", "week 3", "online")
    forget_wandb(monkeypatch, tmp_path, WANDB_PROJECT="other", WANDB_MODE="offline")
    moved = tracking_of(tmp_path / "outputs" / "demo")
    assert (moved.project, moved.entity, moved.wandb, moved.key) == ("other", "team", "offline", later.key)


def test_a_setting_goes_before_the_environment(config, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "online")
    assert mode_of(config) == "online"
    assert mode_of(replace(config, wandb="disabled")) == "disabled"
    assert trackers_of(replace(config, wandb="disabled", report_to=["wandb", "mlflow"])) == ["mlflow"]


@pytest.mark.parametrize(("given", "meant"), [("dryrun", "offline"), ("run", "online"), ("", "offline")])
def test_older_names_of_modes_are_known(config, monkeypatch, given, meant):
    monkeypatch.setenv("WANDB_MODE", given)
    assert mode_of(config) == meant


def test_another_word_is_no_mode(config, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "of")
    with pytest.raises(SafeguardError, match=r"^WANDB_MODE=of: must be online, offline or disabled; unset it, or"):
        mode_of(config)


def test_a_password_is_in_no_record_and_is_asked_for_again(config, tmp_path, monkeypatch):
    forget_wandb(monkeypatch, tmp_path, MLFLOW_TRACKING_URI="https://me:secret@mlflow.example", WANDB_API_KEY="k" * 40)
    settle(replace(config, report_to=["wandb", "mlflow"]))
    path = tmp_path / "outputs" / "demo" / FILE
    assert "secret" not in path.read_text()
    assert "k" * 40 not in path.read_text()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(
        SafeguardError, match=r"^MLFLOW_TRACKING_URI: is not set, and the runs .* https://…@mlflow\.exa"
    ):
        tracking_of(path.parent)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@mlflow.example")
    assert tracking_of(path.parent).trackers == ["wandb", "mlflow"]


def test_an_untracked_sweep_leaves_no_record_and_is_not_tracked_later(config, tmp_path, monkeypatch):
    forget_wandb(monkeypatch, tmp_path)
    assert settle(replace(config, report_to=[])).trackers == []
    assert not (tmp_path / "outputs" / "demo" / FILE).exists()
    assert tracking_of(tmp_path / "outputs" / "demo") is None
    settle(config)
    settle(replace(config, wandb="disabled"))
    assert tracking_of(tmp_path / "outputs" / "demo") is None, "the last command said so"
    assert json.loads((tmp_path / "outputs" / "demo" / FILE).read_text())["wandb"] == "disabled"
