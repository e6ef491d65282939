"""Hands our configuration to Hydra: its schema, every safeguard's settings, and help that names them all."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from experiments.config.schema import Config
from experiments.config.settle import drop_idle, refuse_out_of_bounds, reset_unread
from safeguards.composition import registry
from safeguards.errors import SafeguardError

EXPERIMENTS = Path(__file__).resolve().parents[1]
# A wheel has `conf/` inside the package, a checkout at its top level: pyproject.toml maps one to the other.
CONF = packaged if (packaged := EXPERIMENTS / "conf").is_dir() else EXPERIMENTS.parent / "conf"


def register() -> None:
    """Put the schema and all settings of safeguards into Hydra's store. Torch is not needed for this."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    store.store(group="safeguards", name="all", node=all_settings())
    OmegaConf.register_new_resolver("safeguard_cards", safeguard_cards, replace=True)


def all_settings() -> dict[str, Any]:
    """Typed settings of every safeguard under its name; a file `conf/safeguards/<name>.yaml` overrides defaults."""
    settings = {}
    for name, safeguard in registry().items():
        typed = OmegaConf.structured(safeguard.Settings)
        file = CONF / "safeguards" / f"{name}.yaml"
        settings[name] = OmegaConf.merge(typed, OmegaConf.load(file)) if file.is_file() else typed
    return settings


def compose_config(*overrides: str) -> Config:
    """The configuration that a sweep would give an arm with these overrides.

    Raises:
        SafeguardError: for a value that no arm can have, or that nothing reads.
    """
    register()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        config = read_config(compose("config", overrides=list(overrides)))
    for line in reset_unread(config).values():
        raise SafeguardError(line)
    drop_idle(config)
    return config


def load_config(values: DictConfig) -> Config:
    """The typed configuration of one arm, as far as it counts.

    Raises:
        SafeguardError: for a value that no arm can have.
    """
    config = read_config(values)
    reset_unread(config)
    drop_idle(config)
    return config


def read_config(values: DictConfig) -> Config:
    """The typed configuration of one arm as it was given, each value in its bounds.

    Raises:
        SafeguardError: for a value that no arm can have.
    """
    config = OmegaConf.to_object(values)
    assert isinstance(config, Config)
    for name, settings in config.safeguards.items():
        if not is_dataclass(settings) or isinstance(settings, type):
            raise SafeguardError(f"safeguards.{name}={settings}: must be its settings, such as safeguards.{name}.…=…")
        config.safeguards[name] = asdict(settings)
    refuse_out_of_bounds(config)
    return config


def safeguard_cards() -> str:
    """One line per safeguard: its name, the title of its card, and what it conflicts with."""
    lines = []
    for name, safeguard in registry().items():
        title = (inspect.getdoc(inspect.getmodule(safeguard)) or "(no card)").splitlines()[0]
        conflicts = f" (not with {', '.join(safeguard.conflicts_with)})" if safeguard.conflicts_with else ""
        lines.append(f"  {name:16} {title}{conflicts}")
    return "\n".join(lines)


def known_keys(loader: Any) -> list[str]:
    """Every key that an override may name."""
    keys = _flatten(loader.load_configuration("config", [], RunMode.RUN))
    return sorted({key for key in keys if not key.startswith("hydra")})


def _flatten(node: DictConfig, prefix: str = "") -> Iterator[str]:
    for key in node:
        name = f"{prefix}{key!s}"
        yield name
        value = OmegaConf.select(node, str(key))
        if isinstance(value, DictConfig):
            yield from _flatten(value, f"{name}.")
