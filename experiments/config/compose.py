"""Hands our schema to Hydra, and makes typed configurations of what Hydra composes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from experiments.config.hydra_settings import settle_hydra
from experiments.config.schema import Config
from experiments.config.settle import drop_idle, refuse_out_of_bounds, reset_unread
from safeguards.composition import nearest
from safeguards.errors import SafeguardError, one_line

EXPERIMENTS = Path(__file__).resolve().parents[1]
# A wheel has `conf/` inside the package, a checkout at its top level: pyproject.toml maps one to the other.
CONF = packaged if (packaged := EXPERIMENTS / "conf").is_dir() else EXPERIMENTS.parent / "conf"


# Hydra and OmegaConf let some plain errors through, such as a number where settings belong.
CONFIG_ERRORS = (HydraException, OmegaConfBaseException, YAMLError, OSError, ValueError, TypeError)


def register() -> None:
    """Put the schema and all settings of safeguards into Hydra's store. Torch is not needed for this."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)


def compose_config(*overrides: str) -> Config:
    """The configuration that a sweep would give an arm with these overrides.

    Raises:
        SafeguardError: for a value that no arm can have, or that nothing reads.
    """
    register()
    try:
        arguments = settle_hydra(OverridesParser.create(), overrides)
        with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
            config = typed_config(compose("config", overrides=arguments))
    except CONFIG_ERRORS as error:
        raise SafeguardError(reason(error)) from error
    for line in reset_unread(config).values():
        raise SafeguardError(line)
    drop_idle(config)
    return config


def load_config(values: DictConfig) -> Config:
    """The typed configuration of one arm, as far as it counts.

    Raises:
        SafeguardError: for a value that no arm can have.
    """
    config = typed_config(values)
    reset_unread(config)
    drop_idle(config)
    return config


def typed_config(values: DictConfig) -> Config:
    """The typed configuration of one arm as it was given, each value in its bounds.

    Raises:
        SafeguardError: for a value that no arm can have.
    """
    config = OmegaConf.to_object(values)
    assert isinstance(config, Config)
    for name, settings in config.safeguards.items():
        if not is_dataclass(settings) or isinstance(settings, type):
            raise SafeguardError(f"safeguards.{name}={settings}: must be its settings, such as safeguards.{name}.…=…")
    refuse_out_of_bounds(config)
    return config


def reason(error: Exception) -> str:
    """Of an error in a configuration the innermost reason, and the nearest name where a group has no such option."""
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        return f"unknown {group} {name!r}: {nearest(name, error.options)}"
    return one_line(error if isinstance(error, SafeguardError) else error.__cause__ or error)


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
