"""What of a configuration counts. The rest is put back to its default, so that arms that are the same are one arm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from experiments.config.schema import Config
from experiments.terminal.escaping import hidden
from safeguards.bounds import bounds_of, shown, violations
from safeguards.composition import NONE
from safeguards.errors import SafeguardError


def refuse_out_of_bounds(config: Config) -> None:
    """Refuse values that no arm can have.

    Raises:
        SafeguardError: naming the key.
    """
    for key, value, complaint in violations(config):
        raise SafeguardError(f"{key}={in_error(value)}: {complaint}")


def reset_unread(config: Config) -> dict[str, str]:
    """Put settings that the chosen source, kind or metric never reads back to their defaults; a line about each key.

    Raises:
        SafeguardError: as `parse`.
    """
    lines = {}
    for settings, one, key, why in unread(config):
        value, usual = getattr(settings, one.name), _default(one)
        if value != usual:
            setattr(settings, one.name, usual)
            lines[key] = f"{key}={in_error(value)}: {why}"
    return lines


def unread(config: Config) -> Iterator[tuple[Any, Field[Any], str, str]]:
    """What the chosen source, kind or metric never reads: its dataclass, field and whole key, and why.

    Raises:
        SafeguardError: as `parse`.
    """
    named = [(config.safeguards[safeguard.name], f"safeguards.{safeguard.name}.") for safeguard in config.named]
    for settings, prefix in [*_groups(config), *named]:
        for one in fields(settings):
            if (only := bounds_of(one).only) is None:
                continue
            decider = only[0] if "." in only[0] else f"{prefix}{only[0]}"
            chosen = _word(select(config, decider))
            if chosen not in only[1]:
                why = f"is not read with {decider}={chosen}, only with {' or '.join(only[1])}"
                yield settings, one, f"{prefix}{one.name}", why


def drop_idle(config: Config) -> list[str]:
    """Leave out safeguards that their settings turn off: the arm is then that of the others. A line about each.

    Raises:
        SafeguardError: as `parse`.
    """
    named = [safeguard(config.safeguards[safeguard.name]) for safeguard in config.named]
    idle = [safeguard for safeguard in named if safeguard.idle]
    if not idle:
        return []
    config.safeguard = "+".join(safeguard.name for safeguard in named if not safeguard.idle) or NONE
    return [
        f"safeguards.{one.name}{f'.{one.dose}=0' if one.dose else ''}: turns {one.name} off; such an arm is "
        f"{config.safeguard}"
        for one in idle
    ]


def _groups(settings: Any, prefix: str = "") -> Iterator[tuple[Any, str]]:
    """The dataclasses of a configuration, and the beginning of their keys."""
    yield settings, prefix
    for one in fields(settings):
        if is_dataclass(value := getattr(settings, one.name)):
            yield from _groups(value, f"{prefix}{one.name}.")


def select(config: Config, key: str) -> Any:
    """The value of a key."""
    value: Any = config
    for name in key.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value


def in_error(value: Any) -> str:
    """A value in an error of one line, without the password that an address may hold."""
    return shown(hidden(value) if isinstance(value, str) else value)


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _default(one: Field[Any]) -> Any:
    if one.default_factory is not MISSING:
        return one.default_factory()
    return one.default
