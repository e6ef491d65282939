"""A tracker that could be sent nothing is refused in one line, before anything is trained."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from made import forget_wandb

from experiments.config.compose import compose_config
from experiments.config.schema import Config
from experiments.sweep import sweep
from experiments.tracking.refusals import refuse_untracked
from safeguards.errors import SafeguardError


def refused(config: Config) -> str:
    with pytest.raises(SafeguardError) as error:
        refuse_untracked(config)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_online_without_a_login_says_what_to_run(tmp_path, monkeypatch):
    forget_wandb(monkeypatch, tmp_path)
    assert refused(Config(wandb="online")) == (
        "wandb=online: nobody is logged in to wandb here; run wandb login, or write wandb=offline and send it later"
    )
    refuse_untracked(Config(wandb="offline"))


def test_a_key_that_is_none_is_told_without_the_key(tmp_path, monkeypatch):
    forget_wandb(monkeypatch, tmp_path, WANDB_API_KEY="too-short-a-key")
    told = refused(Config(wandb="online"))
    assert told.startswith("wandb=online: WANDB_API_KEY invalid: ")
    assert told.endswith("; run wandb login, or write wandb=offline and send it later")
    assert "too-short-a-key" not in told


def test_the_mode_of_the_environment_is_refused_likewise(tmp_path, monkeypatch):
    forget_wandb(monkeypatch, tmp_path, WANDB_MODE="online")
    assert refused(Config()).startswith("wandb=online: nobody is logged in")


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_tracker_that_is_not_installed_is_named_with_its_extra(monkeypatch, name):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "experiments.tracking.refusals.find_spec", lambda package: None if package == name else find(package)
    )
    assert refused(Config(report_to=["wandb", name])) == (
        f"report_to=[{name}]: is not installed; pip install '.[{name}]', or leave it away"
    )
    refuse_untracked(Config(report_to=["wandb"]))


def test_what_would_not_act_is_refused():
    assert refused(Config(report_to=["mlflow"], wandb="online")) == (
        "wandb=online: is not read with report_to=[mlflow]; add wandb to it"
    )
    told = "log_adapter=true: goes to wandb or MLflow, and report_to=[{}] has neither that is on"
    assert refused(Config(report_to=["tensorboard"], log_adapter=True)) == told.format("tensorboard")
    assert refused(Config(wandb="disabled", log_adapter=True)) == told.format("")
    refuse_untracked(Config(report_to=[], wandb="disabled"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("report_to=[wandbs]", "report_to=wandbs: must be one of wandb, tensorboard, mlflow"),
        ("report_to=[wandb,wandb]", "report_to=wandb, wandb: must name each item once, and none that is empty"),
        ("report_to=wandb", "report_to=wandb: must be a list of which each item is text"),
        ("wandb=of", "wandb=of: must be one of online, offline, disabled"),
        ("log_adapter=maybe", "log_adapter=maybe: must be true or false"),
    ],
)
def test_a_wrong_word_is_told_with_its_key(given, told):
    with pytest.raises(SafeguardError) as error:
        compose_config(given)
    assert str(error.value).startswith(told)


def test_a_sweep_is_refused_before_any_arm_is_there(tmp_path: Path, monkeypatch):
    forget_wandb(monkeypatch, tmp_path)
    with pytest.raises(SafeguardError, match=r"^wandb=online: nobody is logged in"):
        sweep(["safeguard=none", "task=medical", "seed=0", "wandb=online"])
    assert not (tmp_path / "outputs").exists()
