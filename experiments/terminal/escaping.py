"""Names and messages that users give, as text and nothing else: in the terminal and in Markdown; never a password."""

from __future__ import annotations

import re

# What marks up text in Markdown as GitHub reads it. A star or underscore opens nothing before a blank or at the end.
MARKUP = re.compile(r"[\\`|<>~$]|\*(?=\S)|(?<![^\W_])_(?=\S)|(?<=\])(?=[(\[])|&(?=#?\w+;)|!(?=\[)")


def hidden(text: str) -> str:
    """The text without users and passwords in the addresses that it holds."""
    return re.sub(r"//[^/\s]*@", "//…@", text)


def plain(text: str) -> str:
    """One line that steers no terminal: line breaks, escape sequences and turned writing are shown as what they are."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def markdown(text: str) -> str:
    """One line that reads in Markdown as it is written."""
    return MARKUP.sub(lambda found: f"\\{found[0]}", plain(text))
