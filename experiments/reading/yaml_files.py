"""Read a user's YAML, refusing what a few bytes can blow up: aliases of aliases, deep nesting, huge files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from safeguards.errors import SafeguardError, one_line

MOST_BYTES = 20_000_000
MOST_NODES = 1_000_000
DEEPEST = 50
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same in C where it was built


def read_yaml(path: Path) -> tuple[Any, yaml.Node | None]:
    """The values of a file, and its nodes, which know their lines.

    Raises:
        SafeguardError: naming file and line, if it cannot be read or is too large.
    """
    text = refuse_bomb(path)
    try:
        return yaml.load(text, Loader), yaml.compose(text, Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise _unreadable(path, text, error) from error


def refuse_bomb(path: Path) -> str:
    """The text of a YAML file whose values are not larger than any that a person wrote.

    Raises:
        SafeguardError: naming file and line.
    """
    text = ""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SafeguardError(f"{path}: has more than {MOST_BYTES:,} bytes; split it")
        text = path.read_text("utf-8")
        sizes: dict[str, int] = {}  # of what an anchor names, all aliases written out
        inside: list[tuple[str | None, int]] = []
        for event in yaml.parse(text, Loader):
            if isinstance(event, yaml.CollectionStartEvent):
                inside.append((event.anchor, 1))
                size = 0
            elif isinstance(event, yaml.AliasEvent):
                # What holds itself has no size yet.
                size = sizes.get(event.anchor or "", MOST_NODES + 1 if any(event.anchor == a for a, _ in inside) else 1)
            elif isinstance(event, yaml.ScalarEvent):
                size = 1
                sizes |= {event.anchor: 1} if event.anchor else {}
            elif isinstance(event, yaml.CollectionEndEvent):
                anchor, size = inside.pop()
                sizes |= {anchor: size} if anchor else {}
            else:
                continue
            if inside:
                inside[-1] = (inside[-1][0], inside[-1][1] + size)
            if len(inside) > DEEPEST or size > MOST_NODES or (inside and inside[-1][1] > MOST_NODES):
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise SafeguardError(
                    f"{path}:{line}: is nested deeper than {DEEPEST} levels, or has more than {MOST_NODES:,} values "
                    "once its aliases are written out"
                )
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _unreadable(path, text, error) from error
    return text


def _unreadable(path: Path, text: str, error: Exception) -> SafeguardError:
    if isinstance(error, yaml.MarkedYAMLError):
        last = text.rstrip().count("\n") + 1  # what is not closed is missed only after it
        line = min(last, error.problem_mark.line + 1) if error.problem_mark else 1
        return SafeguardError(f"{path}:{line}: cannot be read as YAML ({error.problem})")
    return SafeguardError(f"{path}: cannot be read ({one_line(error)})")
