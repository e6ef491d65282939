"""Where the results of a sweep belong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from experiments.config.schema import Config
from experiments.config.text_rules import CACHE, folder_name, path_name
from experiments.records.sweep_file import PLAN, no_sweep
from safeguards.errors import SafeguardError


def output_folder(config: Config) -> Path:
    """Where the sweep's results belong."""
    return Path(config.output) / config.name


def typed_folder(settings: Mapping[str, str], name: str) -> Path:
    """The same for a command that composes no configuration: of what was typed as `name` and `output`.

    Args:
        settings: that were typed.
        name: by default.

    Raises:
        SafeguardError: naming what cannot be a folder.
    """
    found = {"output": settings.get("output", "outputs"), "name": settings.get("name", name)}
    for key, must in (("output", path_name), ("name", folder_name)):
        if complaint := must(found[key]):
            raise SafeguardError(f"{key}={found[key]}: {complaint}")
    return Path(found["output"]) / found["name"]


def typed_sweeps(key: str, settings: Mapping[str, str]) -> list[Path]:
    """The folders of the sweeps that were typed as `key`, with commas.

    Raises:
        SafeguardError: naming one that is none, or stands there twice, or for brackets around them.
    """
    found: list[Path] = []
    if (typed := settings[key]).strip().startswith(("[", "(")):
        raise SafeguardError(f"{key}={typed}: takes names with commas; drop the brackets: {key}={typed.strip(' []()')}")
    for name in settings[key].split(","):
        if not name:
            raise SafeguardError(f"{key}={settings[key]}: has an empty name of a sweep; leave it away")
        folder = typed_folder({**settings, "name": name}, name)
        if not (folder / PLAN).is_file():
            raise SafeguardError(f"{key}={settings[key]}: {no_sweep(folder)}")
        if folder.resolve() in [other.resolve() for other in found]:
            raise SafeguardError(f"{key}: {name} is named twice; each sweep is one world")
        found.append(folder)
    return found


def cache_folder(config: Config) -> Path:
    """Where scorers and scores are kept, for all sweeps."""
    return Path(config.output) / CACHE
