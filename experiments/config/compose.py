"""Hands our schema to Hydra, and makes typed configurations of what Hydra composes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import is_dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    ConfigTypeError,
    OmegaConfBaseException,
    ValidationError,
)
from yaml import YAMLError

from experiments.config.hydra_settings import settle_hydra
from experiments.config.schema import Config, TaskConfig
from experiments.config.settle import drop_idle, in_error, refuse_out_of_bounds, reset_unread, select
from experiments.records.sweep_file import by_key
from safeguards.bounds import in_yaml
from safeguards.composition import nearest
from safeguards.errors import SafeguardError, one_line

EXPERIMENTS = Path(__file__).resolve().parents[1]
# A wheel has `conf/` inside the package, a checkout at its top level: pyproject.toml maps one to the other.
CONF = packaged if (packaged := EXPERIMENTS / "conf").is_dir() else EXPERIMENTS.parent / "conf"


# Its shares sum to 1, so that it is only good as a whole.
MIX = "pool.mix"

# Hydra and OmegaConf let some plain errors through, such as a number where settings belong.
CONFIG_ERRORS = (HydraException, OmegaConfBaseException, YAMLError, OSError, ValueError, TypeError)


# What `conf/config.yaml` builds on: the schema, with the settings of all safeguards.
ConfigStore.instance().store(name="schema", node=Config)


def compose_config(*overrides: str) -> Config:
    """The configuration that a sweep would give an arm with these overrides.

    Raises:
        SafeguardError: for a value that no arm can have, or that nothing reads.
    """
    try:
        parser = OverridesParser.create()
        arguments = settle_hydra(parser, overrides)
        refuse_single_shares(parser.parse_overrides(arguments))
        with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
            config = typed_config(compose("config", overrides=arguments))
    except CONFIG_ERRORS as error:
        raise SafeguardError(reason(error)) from error
    for line in reset_unread(config).values():
        raise SafeguardError(line)
    drop_idle(config)
    return config


def refuse_single_shares(overrides: Iterable[Override]) -> None:
    """Refuse the share of one genre alone: what the others are to have then, nobody has said.

    Raises:
        SafeguardError: naming the key.
    """
    for override in overrides:
        if override.get_key_element().lstrip("+~").startswith(f"{MIX}."):
            raise SafeguardError(
                f"{override.input_line}: one share alone cannot be set, since all sum to 1; name all that are to be "
                f"there, such as {MIX}={{facts:0.5,advice:0.5}}"
            )


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
        rows, _, path = error.missing_cfg_file.partition("/")
        if rows in ("task", "pool") and "." in name:
            remedy = f"{rows}=messages {rows}.path={path} reads one with one row per line (JSONL)"
            return f"{rows}={path}: is a file; {remedy}"
        return f"unknown {group} {name!r}: {nearest(name, error.options)}"
    if isinstance(error, OverrideParseException):
        return f"{in_error(error.override)}: cannot be read; write key=value, with text in quotes if marks are in it"
    inner: BaseException = error
    if not isinstance(error, SafeguardError | OmegaConfBaseException):
        inner = error.__cause__ or error.__context__ or error
    if not isinstance(inner, OmegaConfBaseException) or not inner.full_key:
        return one_line(inner)
    file = re.match(r"In '(.+?)': ", str(error))
    return f"{file[1]}: {_about_key(inner)}" if file else _about_key(inner)


def _about_key(error: OmegaConfBaseException) -> str:
    """What is wrong with a key of the schema, or with its value."""
    above, dot, name = re.sub(r"\[.*", "", str(error.full_key)).rpartition(".")
    if above == "hydra.launcher":
        return _about_launcher(name, error)
    try:
        owner = select(Config(), above) if above else Config()
        types = get_type_hints(type(owner))
    except (AttributeError, KeyError):  # below what has no settings
        types = {}
    if isinstance(error, ConfigKeyError | ConfigAttributeError) and types:
        known = [f"{above}{dot}{one}" for one in types]
        return f"unknown key {error.full_key!r}: {nearest(f'{above}{dot}{name}', known)}"
    if not isinstance(error, ValidationError | ConfigTypeError) or name not in types:
        return f"{error.full_key}: {str(error.msg).partition(chr(10))[0]}"
    if is_dataclass(types[name]) or get_origin(types[name]) is dict:
        return f"{error.full_key}: must be its settings, such as {error.full_key}.…=…"
    value = "" if error.key is None else f"={'null' if error.value is None else in_error(error.value)}"
    return f"{error.full_key}{value}: must be {in_yaml(types[name])}"


def _about_launcher(name: str, error: OmegaConfBaseException) -> str:
    """What is wrong with a setting of a launcher, whose settings are Hydra's or its plugin's."""
    if not isinstance(error, ConfigKeyError | ConfigAttributeError):
        return f"{error.full_key}: {str(error.msg).partition(chr(10))[0]}"
    known = [str(key) for key in error.parent_node or () if not str(key).startswith("_")]
    if not known:
        return f"hydra.launcher.{name}: there is no launcher that reads it; name one, such as hydra/launcher=joblib"
    return f"unknown key 'hydra.launcher.{name}': {nearest(name, known)}"


def task_preset(name: str) -> TaskConfig | None:
    """A task of `conf/task` with rows of its own, which are not the organism's; None if there is none of that name.

    Raises:
        SafeguardError: if its file sets what no task has.
    """
    path = CONF / "task" / f"{name}.yaml"
    values = OmegaConf.load(path) if path.is_file() else OmegaConf.create()
    values = OmegaConf.select(values, "task", default=values)  # of a file that sets more than its task
    if OmegaConf.select(values, "source") in (None, "organism"):
        return None
    try:
        found = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(TaskConfig), values))
    except CONFIG_ERRORS as error:
        raise SafeguardError(f"{path}: {one_line(error)}") from error
    assert isinstance(found, TaskConfig)
    return found


def known_keys(loader: Any) -> list[str]:
    """Every key that an override may name."""
    values: Any = OmegaConf.to_container(loader.load_configuration("config", [], RunMode.RUN))
    del values["hydra"]
    return sorted({key for whole in by_key(values) for key in accumulate(whole.split("."), "{}.{}".format)})
