"""What of a configuration counts. The rest is put back to its default, so that arms that are the same are one arm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from experiments.config.schema import Config
from experiments.records.names import UNTOUCHED
from experiments.terminal.escaping import hidden
from safeguards.bounds import bounds_of, shown, violations
from safeguards.composition import NONE, compose, parse
from safeguards.errors import SafeguardError


def refuse_out_of_bounds(config: Config) -> None:
    """Refuse values that no arm can have.

    Raises:
        SafeguardError: naming the key.
    """
    for key, value, complaint in violations(config):
        raise SafeguardError(f"{key}={_in_error(value)}: {complaint}")


def reset_unread(config: Config) -> dict[str, str]:
    """Put settings that the chosen source, kind or metric never reads back to their defaults; a line about each key.

    Raises:
        SafeguardError: as `parse`.
    """
    lines = {}
    for settings, prefix in [*_groups(config), *_named(config)]:
        for one in fields(settings):
            if (only := bounds_of(one).only) is None:
                continue
            value, usual = getattr(settings, one.name), _default(one)
            decider = only[0] if "." in only[0] else f"{prefix}{only[0]}"
            chosen = _word(_select(config, decider))
            if value == usual or chosen in only[1]:
                continue
            setattr(settings, one.name, usual)
            lines[f"{prefix}{one.name}"] = (
                f"{prefix}{one.name}={_in_error(value)}: is not read with {decider}={chosen}, "
                f"only with {' or '.join(only[1])}"
            )
    return lines


def drop_idle(config: Config) -> list[str]:
    """Leave out safeguards that their settings turn off: the arm is then that of the others. A line about each.

    Raises:
        SafeguardError: as `compose`.
    """
    if config.safeguard == UNTOUCHED:
        return []
    named = compose(config.safeguard, config.safeguards)
    idle = [safeguard for safeguard in named if safeguard.idle]
    if not idle:
        return []
    config.safeguard = "+".join(safeguard.name for safeguard in named if not safeguard.idle) or NONE
    return [
        f"safeguards.{one.name}{f'.{one.dose}=0' if one.dose else ''}: turns {one.name} off; such an arm is "
        f"{config.safeguard}"
        for one in idle
    ]


def _named(config: Config) -> Iterator[tuple[Any, str]]:
    """The settings of the safeguards that are named, and the beginning of their keys. No other is read."""
    for safeguard in parse(config.safeguard) if config.safeguard != UNTOUCHED else ():
        yield config.safeguards[safeguard.name], f"safeguards.{safeguard.name}."


def _groups(settings: Any, prefix: str = "") -> Iterator[tuple[Any, str]]:
    """The dataclasses of a configuration, and the beginning of their keys."""
    yield settings, prefix
    for one in fields(settings):
        if is_dataclass(value := getattr(settings, one.name)):
            yield from _groups(value, f"{prefix}{one.name}.")


def _select(config: Config, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value


def _in_error(value: Any) -> str:
    """A value in an error of one line, without the password that an address may hold."""
    return shown(hidden(value) if isinstance(value, str) else value)


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _default(one: Field[Any]) -> Any:
    if one.default_factory is not MISSING:
        return one.default_factory()
    return one.default
