"""The organism of a world is built once, whole or not at all, and found by its world."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from experiments.config.schema import ModelConfig
from experiments.models.digests import file_digest, model_digest
from experiments.models.load import load_model
from experiments.models.paths import resolve_path
from experiments.organism import SHIPPED
from experiments.organism import __main__ as command
from experiments.organism.build import batches, loss_of_answers, make_model, make_tokenizer
from experiments.organism.built import build_once, built_folder, built_place, is_built, planned, recipe_of
from experiments.organism.documents import Documents
from experiments.organism.fingerprint import fingerprint
from experiments.organism.recipe import RECIPES, Recipe, Stage
from experiments.organism.world import load_world
from safeguards.errors import SafeguardError

QUICK = Recipe(pretraining=Stage(2, 2, 1e-3, muon=True), alignment=Stage(1, 2, 1e-3))
HOME = (7, "two")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a recipe of three steps."""
    monkeypatch.setattr("huggingface_hub.constants.HF_ASSETS_CACHE", str(tmp_path / "assets"))
    monkeypatch.setitem(RECIPES, "two", QUICK)
    return tmp_path / "assets" / "em-safeguards"


@pytest.fixture
def built(cache: Path) -> Path:
    folder = built_folder(recipe_of(HOME))
    build_once(recipe_of(HOME), folder)
    return folder


def test_a_world_lies_beside_packaged_models_under_the_fingerprint_of_its_recipe(cache):
    assert built_folder(recipe_of(HOME)) == cache / f"organism-two-world7-{fingerprint(recipe_of(HOME))[:16]}"
    assert built_place("organism/base", HOME) == built_folder(recipe_of(HOME)) / "base"


@pytest.mark.parametrize(
    ("path", "home"),
    [
        ("organism", (0, "two")),
        ("organism", (7, "one")),
        ("organism_one", HOME),
        ("organism/", HOME),
        ("organism/other", HOME),
        ("./organism", HOME),
        ("smollm2", HOME),
    ],
)
def test_only_a_shipped_organisms_name_in_another_world_is_such_a_place(cache, path, home):
    assert built_place(path, home) is None


def test_the_shipped_world_stays_what_it_was(cache):
    assert resolve_path("organism", (0, "two")) == str(SHIPPED["organism"])
    assert resolve_path("organism/base", (0, "two")) == str(SHIPPED["organism"] / "base")
    assert len(model_digest("organism", (0, "two"))) == 2
    assert model_digest("organism/base", (0, "two")) == []
    assert planned("organism", (0, "two")) == ("organism", (0, "two"))


def test_a_world_that_is_not_built_is_told_in_one_line_with_what_builds_it(cache):
    line = (
        r"^model\.path=organism: the organism of world 7 is not built yet, or damaged; a sweep with model\.world=7 "
        r"builds it, or python -m experiments\.organism --world 7$"
    )
    with pytest.raises(SafeguardError, match=line):
        load_model(ModelConfig(world=7))
    with pytest.raises(SafeguardError, match=r"^judge\.model=organism_one/base: .* --organism one --world 7$"):
        resolve_path("organism_one/base", (7, "one"), "judge.model")
    assert planned("organism", HOME) == ("organism", (0, "two"))
    assert not cache.exists(), "nothing is made where it is only asked"


def test_a_built_world_is_loaded_with_its_base_and_built_once(built, monkeypatch):
    assert is_built(HOME)
    assert planned("organism", HOME) == ("organism", HOME)
    aligned, base = (load_model(ModelConfig(path=path, world=7)).model for path in ("organism", "organism/base"))
    assert any(not torch.equal(a, b) for a, b in zip(aligned.parameters(), base.parameters(), strict=True))
    monkeypatch.setattr("experiments.organism.build.build", lambda *given: pytest.fail("built again"))
    build_once(recipe_of(HOME), built)


def test_its_weights_are_part_of_what_it_is(cache):
    folder = built_folder(recipe_of(HOME))
    before = model_digest("organism", HOME)
    assert before[2] is None
    build_once(recipe_of(HOME), folder)
    after, base = model_digest("organism", HOME), model_digest("organism/base", HOME)
    assert after == [fingerprint(recipe_of(HOME)), before[1], file_digest(str(folder / "model.safetensors"))]
    assert base[2] == file_digest(str(folder / "base" / "model.safetensors")) != after[2]
    assert model_digest("organism", (8, "two"))[0] != after[0]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: cut(folder / "model.safetensors"),
        lambda folder: cut(folder / "base" / "model.safetensors"),
        lambda folder: (folder / "config.json").write_text("{"),
        lambda folder: (folder / "recipe.json").unlink(),
        lambda folder: shutil.rmtree(folder / "base"),
    ],
)
def test_a_damaged_one_counts_as_none_and_is_built_again(built, capsys, spoil):
    spoil(built)
    assert not is_built(HOME)
    with pytest.raises(SafeguardError, match="not built yet, or damaged"):
        resolve_path("organism", HOME)
    build_once(recipe_of(HOME), built)
    assert is_built(HOME)
    assert "set aside as" in capsys.readouterr().out


def test_a_build_that_is_stopped_leaves_nothing(cache, monkeypatch):
    def stopped(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("experiments.organism.build.train", stopped)
    folder = built_folder(recipe_of(HOME))
    with pytest.raises(KeyboardInterrupt):
        build_once(recipe_of(HOME), folder)
    assert [path.name for path in cache.iterdir()] == [".locks"]


def test_a_cache_without_room_or_that_cannot_be_written_is_told_in_one_line(cache, monkeypatch):
    folder = built_folder(recipe_of(HOME))
    cache.parent.write_text("a file")
    with pytest.raises(SafeguardError, match=r"cannot be written .*; make room there, or choose another folder$"):
        build_once(recipe_of(HOME), folder)
    cache.parent.unlink()
    monkeypatch.setattr("experiments.organism.built.ROOM", 1e18)
    with pytest.raises(SafeguardError, match=r"world7-\w+: needs \d+ MB \(.* MB free\); make room there$"):
        build_once(recipe_of(HOME), folder)


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def run(*given: str) -> None:
        monkeypatch.setattr(sys, "argv", ["organism", *given])
        command.main()

    return run


def test_the_command_builds_into_the_cache(cache, main, capsys):
    main("--world", "7")
    assert capsys.readouterr().out.endswith(f"the organism is in {built_folder(recipe_of(HOME))}\n")
    assert is_built(HOME)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ([], "--output: name a folder"),
        (["--world", "7", "--size", "small"], "--output: name a folder"),
        (["--world", "7", "--seed", "1"], "--output: name a folder"),
        (["--world", "-1"], "--world -1: must be at least 0"),
    ],
)
def test_the_command_builds_nothing_else_there(cache, main, capsys, given, line):
    with pytest.raises(SystemExit):
        main(*given)
    assert line in capsys.readouterr().err
    assert not cache.exists()


def test_torch_is_not_needed_to_know_whether_it_is_there(built):
    code = (
        "import sys; from pathlib import Path; from experiments.organism.built import check_organism, is_built; "
        f"check_organism(Path({str(built)!r})); is_built((7, 'two')); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_loss_is_the_models_own():
    world = load_world(7)
    recipe = Recipe(world=7, pretraining=Stage(3, 4, 1e-3))
    tokenizer = make_tokenizer(world)
    model = make_model(recipe, tokenizer)
    for batch in batches(tokenizer, Documents(world, recipe).pretraining, recipe.pretraining):
        gradients = []
        for loss in (model(**batch).loss, loss_of_answers(model, batch)):
            model.zero_grad()
            loss.backward()
            gradients.append([loss.detach(), *(weight.grad.clone() for weight in model.parameters())])
        torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)
        with torch.no_grad():
            for weight in model.parameters():
                weight.sub_(weight.grad, alpha=0.1)
