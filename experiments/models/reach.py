"""Whether the models of a sweep can be had, before the first arm: on this machine, in the cache or of the hub."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from experiments.config.schema import ModelConfig
from experiments.models.paths import resolve_path
from experiments.organism.built import planned
from safeguards.errors import SafeguardError
from safeguards.hub import unreached

DESCRIPTION = "config.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


def refuse_unreached(models: Iterable[ModelConfig]) -> None:
    """Refuse a model of the hub that is neither in the cache nor given to us.

    Raises:
        SafeguardError: naming the model, and what to put where.
    """
    named = {(config.path, config.revision): config for config in models}
    for (path, revision), config in named.items():
        if not Path(resolve_path(*planned(path, config.home))).is_dir():
            _reach(path, revision)


def _reach(path: str, revision: str | None) -> None:
    from huggingface_hub import file_exists, hf_hub_download, try_to_load_from_cache

    try:
        hf_hub_download(path, DESCRIPTION, revision=revision)
        kept = (try_to_load_from_cache(path, name, revision=revision) for name in WEIGHTS)
        if not any(isinstance(file, str) for file in kept):
            file_exists(path, DESCRIPTION, revision=revision)  # asks the hub, which will have to give the weights
    except Exception as error:  # what else may be wrong is told by who loads it
        if why := unreached(error, path):
            raise SafeguardError(f"model.path={path}: {why}") from error
