"""Organisms of other worlds than the shipped ones: each is built once, and kept for all sweeps.

They lie beside what comes from the Hugging Face hub (`HF_ASSETS_CACHE`). Torch is imported late: where one lies, and
whether it is there, is known without it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path

from experiments.organism import RECIPE
from experiments.organism.fingerprint import fingerprint
from experiments.organism.recipe import RECIPES, Recipe
from experiments.organism.world import Home
from experiments.reading.read_once import read_once
from experiments.records.locks import locked
from safeguards.errors import SafeguardError, one_line
from safeguards.files import check_files, free_space, is_whole, whole

# Whose world a name of `model.path` is of, and which world is shipped.
NAMES = {"organism": "two", "organism_one": "one"}
SHIPPED_WORLD = 0
BASE = "base"
# What must be in the folder of a model, and of an organism beside.
PARTS = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
# Bytes that one takes on the disk, at most.
ROOM = 20_000_000


def recipe_of(home: Home) -> Recipe:
    """The recipe of a world's organism, of the usual size and seed."""
    world, organism = home
    return replace(RECIPES[organism], world=world)


def built_folder(recipe: Recipe) -> Path:
    """Where an organism lies once it is built. What it is made of names the folder."""
    from huggingface_hub.constants import HF_ASSETS_CACHE

    name = f"organism-{recipe.organism}-world{recipe.world}-{fingerprint(recipe)[:16]}"
    return Path(HF_ASSETS_CACHE) / "em-safeguards" / name


def built_place(path: str, home: Home) -> Path | None:
    """The folder that the name of a shipped organism, or of its base, stands for in a world that is not shipped.

    Args:
        path: such as "organism" or "organism/base".
        home: the world that is spoken of, and whose it is.

    Returns:
        None where something else is meant. Whether there is anything in it, `is_built` tells.
    """
    name, _, part = path.partition("/")
    if name not in NAMES or path not in (name, f"{name}/{BASE}"):
        return None
    if home[0] == SHIPPED_WORLD or NAMES[name] != home[1]:
        return None
    return built_folder(recipe_of(home)) / part


def is_built(home: Home) -> bool:
    """Whether the organism of a world is in the cache, and undamaged."""
    return _is_whole(str(built_folder(recipe_of(home))))


@read_once
def _is_whole(folder: str) -> bool:
    try:
        check_organism(Path(folder))
    except SafeguardError:
        return False
    return True


def planned(path: str, home: Home) -> tuple[str, Home]:
    """What a plan looks at for a model of a world: itself, or the shipped organism as long as it is not built.

    That has the same shape, so what a command asks of it can be refused before the world is built.
    """
    if built_place(path, home) is None or is_built(home):
        return path, home
    return path, (SHIPPED_WORLD, home[1])


def how_to_build(home: Home) -> str:
    """The command that builds the organism of a world."""
    world, organism = home
    which = f" --organism {organism}" if organism != Recipe.organism else ""
    return f"python -m experiments.organism{which} --world {world}"


def check_organism(folder: Path) -> None:
    """Refuse the folder of an organism in which a file is missing or cut off. No weight is read.

    Raises:
        SafeguardError: naming the file.
    """
    for path in (folder / RECIPE, *(place / part for place in (folder, folder / BASE) for part in PARTS)):
        if not path.is_file():
            raise SafeguardError(f"{path}: is missing")
    check_files(folder)
    check_files(folder / BASE)


def build_once(
    recipe: Recipe,
    folder: Path,
    reporter: Callable[[str, int], Callable[[float], None]] | None = None,
    waits: Callable[[], object] = lambda: None,
) -> None:
    """Build an organism, if it is not there or damaged. A build that ends early leaves nothing.

    Args:
        recipe: of the organism.
        folder: where it belongs.
        reporter: as `build` has it; by default a bar.
        waits: is called if another process builds it now, and is waited for.

    Raises:
        SafeguardError: if it cannot be written, or there is no room for it.
    """
    with _alone(folder, waits):
        if is_whole(folder, check_organism):
            return
        with whole(folder) as unfinished:
            if shutil.disk_usage(folder.parent).free < ROOM:
                raise SafeguardError(f"{folder}: needs {ROOM / 1e6:.0f} MB ({free_space(folder)}); make room there")
            from experiments.organism.build import build

            build(recipe, unfinished, reporter)


@contextmanager
def _alone(folder: Path, waits: Callable[[], object]) -> Iterator[None]:
    with locked(folder.parent, folder.name, wait=False) as mine:
        if mine:
            yield
            return
    waits()
    with locked(folder.parent, folder.name):
        yield


def build_for(connection: Connection, recipe: Recipe, folder: Path) -> None:
    """`build_once` in a process of its own, which ends with the one that started it.

    Sends how it stands: ("step", stage, its steps, loss) after each, ("waits",) for another process that builds it, and
    ("failed", why). Torch has one thread, unless `OMP_NUM_THREADS` says how many.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both, and the other one ends us
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    starter = parent_process()
    assert starter is not None

    def reporter(stage: str, steps: int) -> Callable[[float], None]:
        def report(loss: float) -> None:
            if not starter.is_alive():
                sys.exit(1)
            connection.send(("step", stage, steps, loss))

        return report

    try:
        build_once(recipe, folder, reporter, lambda: connection.send(("waits",)))
    except Exception as error:
        with suppress(OSError):  # of one who is no longer there
            connection.send(("failed", one_line(error)))
