"""Whether a model, a world or a file is still what it was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from experiments.config.schema import ModelConfig
from experiments.models.packaged import PACKAGED
from experiments.organism import RECIPE, SHIPPED
from experiments.organism.built import built_place, recipe_of
from experiments.organism.fingerprint import fingerprint
from experiments.organism.world import LISTS, Home
from experiments.reading.read_once import read_once
from safeguards.errors import SafeguardError


def file_digest(path: str | None) -> str | None:
    """A hash of a file's contents; None where there is no file that can be read, which is refused elsewhere."""
    try:
        return None if path is None else _digest(path)
    except OSError:
        return None


@read_once
def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def world_digest(organism: str) -> str:
    """A hash of a world's lists, from which tasks, probes and judge are made."""
    lists = sorted(LISTS[organism].glob("*.yaml"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in lists)).hexdigest()


def model_digest(path: str, home: Home) -> list[Any]:
    """A shipped organism's fingerprint and its world's lists, for one of another world with the hash of its weights;
    the hash of the file that a packaged model is made of, whenever and wherever it was; else sizes and dates of a local
    model's files.

    Two trainings of one recipe round differently on two machines, and are two organisms. Of one that is not built yet
    there is no hash: None stands in its place.
    """
    if path in PACKAGED:
        return [PACKAGED[path].sha256]
    if (place := built_place(path, home)) is not None:
        weights = file_digest(str(place / "model.safetensors"))
        return [fingerprint(recipe_of(home)), world_digest(home[1]), weights]
    if path in SHIPPED:
        recipe = SHIPPED[path] / RECIPE
        if not recipe.is_file():
            target = path.replace("_", "-")
            raise SafeguardError(
                f"{recipe.parent}: the organism is not there; install again, or in a clone: make {target}"
            )
        made = json.loads(recipe.read_text("utf-8"))
        return [made["fingerprint"], world_digest(made["organism"])]
    folder = Path(path).expanduser()
    files = [file for file in sorted(folder.glob("*")) if file.suffix in (".safetensors", ".json", ".jinja")]
    return [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]


def model_settings(config: ModelConfig) -> dict[str, Any]:
    """The settings of a model that decide what it says: what is not set, and who made it, decides nothing."""
    settings = asdict(config)
    del settings["origin"], settings["licence"]
    if config.revision is None or Path(config.path).expanduser().is_dir():  # which has no revision
        del settings["revision"]
    if config.quantization is None:
        del settings["quantization"]
    if config.organism == ModelConfig.organism:  # the usual one, also where none is meant
        del settings["organism"]
    return settings
