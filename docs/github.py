"""Lists as GitHub reads them, written for Python-Markdown: it wants a blank line before, and four blanks inside."""

from __future__ import annotations

import re
from collections.abc import Iterator

ITEM = re.compile(r"(?:\*|\d+\.) ")


def as_here(text: str) -> str:
    """The page for this site."""
    return "\n".join(_lines(text.split("\n")))


def _lines(lines: list[str]) -> Iterator[str]:
    inside = fenced = False  # of a list, of a block of code
    before = ""
    for line in lines:
        if line.startswith("```"):
            fenced = not fenced
        if not fenced:
            if ITEM.match(line):
                if before.strip() and not inside:
                    yield ""
                inside = True
            elif line.strip() and not line.startswith("  "):
                # A line that is not indented goes on with the item, unless a blank one stands before it.
                inside = inside and bool(before.strip())
        yield f"  {line}" if inside and not fenced and line.startswith("  ") else line
        before = line
