"""Where the results of a sweep belong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from experiments.config.schema import Config
from experiments.config.text_rules import CACHE, folder_name, path_name
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


def cache_folder(config: Config) -> Path:
    """Where scorers and scores are kept, for all sweeps."""
    return Path(config.output) / CACHE
