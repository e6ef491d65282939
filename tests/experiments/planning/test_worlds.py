"""Worlds that are missing are found and built side by side, and a sweep runs its arms in them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from experiments.config.schema import Config
from experiments.organism.built import build_once, built_folder, is_built, recipe_of
from experiments.organism.recipe import RECIPES, Recipe, Stage
from experiments.organism.world import Home
from experiments.planning import worlds
from experiments.planning.plan import PlannedArm
from experiments.planning.worlds import build_worlds, missing_worlds
from experiments.records.locks import locked
from experiments.sweep import sweep
from safeguards.errors import SafeguardError

QUICK = Recipe(pretraining=Stage(4, 2, 1e-3, muon=True), alignment=Stage(1, 2, 1e-3))
SEVEN, EIGHT = (7, "two"), (8, "two")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a recipe of a few steps."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_ASSETS_CACHE", str(tmp_path / "assets"))
    monkeypatch.setitem(RECIPES, "two", QUICK)
    return tmp_path / "assets" / "em-safeguards"


def config(path: str = "organism", world: int = 7, safeguard: str = "none", base: str = "") -> Config:
    made = Config(safeguard=safeguard)
    made.model.path, made.model.world = path, world
    made.safeguards["safelora"].base = base
    return made


def test_what_is_missing_is_named_once():
    configs = [config(), config(world=8), config(), config(world=0), config("smollm2"), config("some/model")]
    assert missing_worlds(configs) == [SEVEN, EIGHT]
    build_once(recipe_of(SEVEN), built_folder(recipe_of(SEVEN)))
    assert missing_worlds(configs) == [EIGHT]


def test_the_base_of_a_world_is_missed_where_the_model_is_elsewhere(tmp_path):
    assert missing_worlds([config(str(tmp_path), 7, "safelora", "organism/base")]) == [SEVEN]
    assert missing_worlds([config(str(tmp_path), 7, "kl", "organism/base")]) == [], "which does not read it"


def test_worlds_are_built_side_by_side_with_a_forecast_and_lines(monkeypatch, capfd, cache):
    monkeypatch.setattr(worlds, "TIMED", 2)
    monkeypatch.setattr(worlds, "cores", lambda: 2)
    build_worlds([SEVEN, EIGHT])
    assert is_built(SEVEN)
    assert is_built(EIGHT)
    said = capfd.readouterr().out.splitlines()
    assert said[0] == f"builds 2 worlds that no sweep had before, once, in {cache}"
    assert sum(bool(re.fullmatch(r"builds 2 worlds: about \d+ seconds, \d\.\d\d s a step", line)) for line in said) == 1
    for world in (7, 8):
        assert any(line.startswith(f"world {world}, pre-training: step 4 of 4, loss ") for line in said)
        assert any(line.startswith(f"world {world}, alignment: step 1 of 1, loss ") for line in said)
    assert re.fullmatch(r"2 worlds built in \d+ seconds", said[-1])
    alone = cache.parent / "alone"
    build_once(recipe_of(SEVEN), alone)
    weights = "model.safetensors"
    assert (alone / weights).read_bytes() == (built_folder(recipe_of(SEVEN)) / weights).read_bytes()


@pytest.mark.parametrize(("threads", "most"), [("1", 4), ("2", 2), ("9", 1), ("", 4), ("no", 4)])
def test_processes_share_the_cores(monkeypatch, threads, most):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr(worlds, "cores", lambda: 4)
    found = []
    monkeypatch.setattr(worlds, "_side_by_side", lambda recipes, at_once, told: found.append(at_once) or [])
    build_worlds([(world, "two") for world in range(1, 8)])
    assert found == [most]


def test_one_that_cannot_be_built_is_told_and_the_others_are_kept(cache):
    blocked = built_folder(recipe_of(SEVEN))
    (cache / ".locks" / blocked.name).mkdir(parents=True)
    with pytest.raises(SafeguardError, match=rf"^world 7 could not be built: .*{blocked.name}: cannot be written"):
        build_worlds([SEVEN, EIGHT])
    assert is_built(EIGHT)


def test_another_process_that_builds_it_is_waited_for(capfd, cache):
    folder = built_folder(recipe_of(SEVEN))
    with locked(folder.parent, folder.name):
        waiting = threading.Thread(target=build_worlds, args=([SEVEN],))
        waiting.start()
        said, until = "", time.monotonic() + 60
        while "another process" not in said and time.monotonic() < until:
            time.sleep(0.1)
            said += capfd.readouterr().out
        assert "world 7: another process builds it, and is waited for" in said
        assert not folder.exists()
    waiting.join()
    assert is_built(SEVEN)


SLOW = """
import sys
from experiments.organism.recipe import RECIPES, Recipe, Stage
from experiments.planning.worlds import build_worlds
from experiments.terminal.ending import ending_in_one_line
if __name__ == "__main__":
    RECIPES["two"] = Recipe(pretraining=Stage(100_000, 2, 1e-3), alignment=Stage(1, 2, 1e-3))
    with ending_in_one_line():
        build_worlds([(7, "two")])
"""


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_sweep_that_is_stopped_stops_what_it_builds(tmp_path, number, status):
    (tmp_path / "slow.py").write_text(SLOW, "utf-8")
    environment = {**os.environ, "HF_ASSETS_CACHE": str(tmp_path / "assets")}
    run = subprocess.Popen(
        [sys.executable, "slow.py"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    place, until = tmp_path / "assets" / "em-safeguards", time.monotonic() + 60
    while not (place / ".locks").is_dir() and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(3)
    run.send_signal(number)
    _, errors = run.communicate(timeout=30)  # once no process is left that could write there
    assert run.returncode == status
    assert len(errors.strip().splitlines()) == (number != signal.SIGKILL), errors
    assert [path.name for path in place.iterdir()] == [".locks"]


ARMS = ["model=organism", "task=medical", "seed=0", "safeguard=safelora", "wandb=disabled", "curve.looks=0"]


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """A sweep that builds in this process and runs no arm: the arms that it would run, by folder and name."""
    found: list[PlannedArm] = []
    monkeypatch.setattr("experiments.sweep.run", lambda plan, waiting, seconds: found.extend(waiting))
    monkeypatch.setattr("experiments.showing.show.show_sweep", lambda *given, **named: None)

    def build(homes: list[Home]) -> None:
        print(f"builds {homes}")
        for home in homes:
            build_once(recipe_of(home), built_folder(recipe_of(home)))

    monkeypatch.setattr("experiments.sweep.build_worlds", build)

    def run(*given: str) -> list[str]:
        found.clear()
        sweep([*ARMS, *given])
        return [f"{arm.folder.name} {arm}" for arm in found]

    return run


def test_a_sweep_builds_its_worlds_and_names_arms_by_their_weights(planned, capsys):
    arms = planned("model.world=7,8")
    assert "builds [(7, 'two'), (8, 'two')]" in capsys.readouterr().out
    assert len({arm.partition(" ")[0] for arm in arms}) == 6, "untouched, none and safelora in either"
    assert arms[0].endswith(" untouched · medical · seed 0 · organism · world 7")
    assert planned("model.world=7,8") == arms
    assert "builds" not in capsys.readouterr().out
    weights = "model.safetensors"
    (built_folder(recipe_of(SEVEN)) / weights).write_bytes((built_folder(recipe_of(EIGHT)) / weights).read_bytes())
    again = planned("model.world=7,8")
    assert [one == other for one, other in zip(again, arms, strict=True)] == [False, True] * 3, "another organism"


@pytest.mark.parametrize(
    "wrong",
    [
        "model.world=-1",
        "modle.world=7",
        "safeguards.safelora.base=organism",
        "baseline=nothing",
        "power.from=nothing",
        "training.epochs=-1",
    ],
)
def test_a_sweep_that_is_refused_builds_nothing(cache, wrong):
    key = wrong.partition("=")[0]
    given = [one for one in [*ARMS, "model.world=7"] if one.partition("=")[0] != key]
    with suppress(SafeguardError):
        assert sweep([*given, wrong]) > 0
    assert not cache.exists()


def test_a_place_for_results_that_cannot_be_written_is_refused_before_anything_is_built(cache, tmp_path):
    (tmp_path / "outputs").write_text("a file", "utf-8")
    with pytest.raises(SafeguardError, match="cannot be written"):
        sweep([*ARMS, "model.world=7"])
    assert not cache.exists()
