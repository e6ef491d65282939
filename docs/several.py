"""Teaches the reader of docstrings that one line may explain several arguments: `rows, pool: as of the trainer`."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

SEVERAL = re.compile(r"^( *)((?:\w+, )+\w+): (.+(?:\n\1 +.+)*)$", re.MULTILINE)


def one_line_each(text: str) -> str:
    """The docstring with a line for each argument, all with the same explanation."""
    head, args, lines = text.partition("Args:\n")
    section, blank, rest = lines.partition("\n\n")
    return head + args + SEVERAL.sub(_apart, section) + blank + rest


def _apart(found: re.Match[str]) -> str:
    indent, names, meaning = found.groups()
    return "\n".join(f"{indent}{name}: {meaning}" for name in names.split(", "))


class Several(Extension):
    """Applied to every class and function before its docstring is read."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Take apart the lines of an object that griffe has loaded."""
        if obj.docstring:
            obj.docstring.value = one_line_each(obj.docstring.value)
