"""Several tasks of one sweep in one setting: `task=[medical,{name: mine, kind: em, path: rows.jsonl}]`.

With commas every setting is combined with every other; a list gives each task of one's own what belongs to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from experiments.config.schema import TaskConfig
from experiments.records.names import SEVERAL_TASKS
from safeguards.bounds import shown
from safeguards.composition import nearest
from safeguards.errors import SafeguardError

OWN = "messages"
EXAMPLE = "{name: mine, kind: em, path: rows.jsonl}"


def expand_tasks(listed: Sequence[Any]) -> list[tuple[str, ...]]:
    """Of each task of a list the overrides that choose it.

    Raises:
        SafeguardError: naming what of it is no task.
    """
    found: list[tuple[str, ...]] = []
    for one in listed:
        found += [_own(one)] if isinstance(one, Mapping) else [(f"task={name}",) for name in _presets(one)]
    return found


def tasks_named(name: str) -> Sequence[str]:
    """What one name stands for: several tasks, or itself."""
    return SEVERAL_TASKS.get(name, (name,))


def _presets(name: Any) -> Sequence[str]:
    if not isinstance(name, str) or not name:
        raise SafeguardError(f"task=[{shown(name)}]: is no task; name one of conf/task, or give {EXAMPLE}")
    return tasks_named(name)


def _own(given: Mapping[str, Any]) -> tuple[str, ...]:
    known = {one.name for one in fields(TaskConfig)} - {"source", "group"}
    for key in given:
        if key not in known:
            raise SafeguardError(f"task=[{{{key}: …}}]: unknown key {key!r}: {nearest(str(key), sorted(known))}")
    for key in ("name", "kind"):
        if not given.get(key):
            raise SafeguardError(f"task=[{shown(dict(given))}]: has no {key}; write such as {EXAMPLE}")
    if not (given.get("path") or given.get("dataset")):
        raise SafeguardError(f"task=[{{name: {shown(given['name'])}, …}}]: name its path (a JSONL file) or its dataset")
    return (f"task={OWN}", *(f"task.{key}={_typed(value)}" for key, value in given.items()))


def _typed(value: Any) -> str:
    """A value as it is typed on a command line."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_typed(inner)}" for key, inner in value.items()) + "}"
    if not isinstance(value, str):
        return str(value)
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
