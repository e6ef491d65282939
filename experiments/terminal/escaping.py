"""Names and messages that users give, as text and nothing else, in the terminal, Markdown and LaTeX; no passwords."""

from __future__ import annotations

import re

# What marks up text in Markdown as GitHub reads it. A star or underscore opens nothing before a blank or at the end.
MARKUP = re.compile(r"[\\`|<>~$]|\*(?=\S)|(?<![^\W_])_(?=\S)|(?<=\])(?=[(\[])|&(?=#?\w+;)|!(?=\[)")

LATEX = str.maketrans(
    {mark: f"\\{mark}" for mark in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "`": "{`}", "−": "$-$"}
    | {"×": r"$\times$", "†": r"$\dagger$", "κ": r"$\kappa$"}
    | {"✓": r"$\checkmark$", "∼": r"$\sim$", "✗": r"$\times$"}  # the first is of amssymb
)


def hidden(text: str) -> str:
    """The text without users and passwords in the addresses that it holds."""
    return re.sub(r"//[^/\s]*@", "//…@", text)


def plain(text: str) -> str:
    """One line that steers no terminal: line breaks, escape sequences and turned writing are shown as what they are."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def markdown(text: str) -> str:
    """One line that reads in Markdown as it is written."""
    return MARKUP.sub(lambda found: f"\\{found[0]}", plain(text))


def latex(text: str) -> str:
    """One line that reads in LaTeX as it is written. After the end of a row, a bracket would be its height."""
    return re.sub(r"^\[", "{[}", re.sub(r"(?<!\w)-(?=\d)", "−", plain(text)).translate(LATEX))
