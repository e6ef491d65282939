"""What each safeguard says of itself at the top of its file, for the tests and for the table of the README.

A card is the docstring of the safeguard's module: a title, what the method is, and then named paragraphs. Three of them
are for machines, too, and follow "Source:".

    Form: as published | as published, by its text | variant: <what differs, one sentence> | ours
    Compared with: <owner/repo: file>[; …] | authors' code not found, <what was read instead>
    Doses: transferable | not transferable: <why, one sentence>

A method is what its authors' code does; where that was not found, it is as published by its text at the most. Doses are
transferable if a published one means here what it meant there.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, fields
from inspect import cleandoc

from safeguards.composition import registry
from safeguards.errors import SafeguardError
from safeguards.safeguard import Safeguard

BY_TEXT, NOT_FOUND = "as published, by its text", "authors' code not found"
VALID = {
    "Form": rf"as published|{BY_TEXT}|variant: .+|ours",
    "Compared with": rf"[\w.-]+/[\w.-]+: .+|{NOT_FOUND}, .+",
    "Doses": r"transferable|not transferable: .+",
}


@dataclass(frozen=True)
class Card:
    """What a safeguard says of itself, each on one line.

    Attributes:
        title: of the method.
        source: where it is published.
        form: "as published", "variant: …" or "ours".
        compared: the authors' code that it was compared with, or that there is none.
        doses: whether a published dose means the same here.
    """

    title: str
    source: str
    form: str
    compared: str
    doses: str


def card(safeguard: type[Safeguard]) -> Card:
    """The card of one safeguard.

    Raises:
        SafeguardError: if a line is missing or says something else than it may.
    """
    text = cleandoc(sys.modules[safeguard.__module__].__doc__ or "")
    # A paragraph goes on until the next one, whose name starts a line.
    named = dict(re.findall(r"^([A-Z][a-z ]+): (.+?)(?=\n[A-Z][a-z ]+: |\n\n|\Z)", text, re.MULTILINE | re.DOTALL))
    found = {name: " ".join(words.split()) for name, words in named.items()}
    for name, form in VALID.items():
        if not re.fullmatch(form, found.get(name, "")):
            raise SafeguardError(f"{safeguard.name}: its card says {name}: {found.get(name)!r}; must be {form}")
    if found["Form"] == "as published" and found["Compared with"].startswith(NOT_FOUND):
        raise SafeguardError(f"{safeguard.name}: its card says as published, and {NOT_FOUND}; say {BY_TEXT!r}")
    title = text.split("\n", 1)[0].rstrip(".")
    return Card(title, found.get("Source", ""), found["Form"], found["Compared with"], found["Doses"])


def explained(settings: type) -> dict[str, str]:
    """What each setting means, in the order of the fields: the lines under "Args:" of its class and of what it extends.

    A line that goes on is indented deeper.
    """
    found: dict[str, str] = {}
    for parent in reversed(settings.__mro__):
        _, _, lines = cleandoc(parent.__doc__ or "").partition("Args:\n")
        found |= {
            name: " ".join(words.split()) for name, words in re.findall(r"^ {4}(\w+): (.+(?:\n {5,}.+)*)", lines, re.M)
        }
    return {field.name: found.get(field.name, "") for field in fields(settings)}


def cards() -> dict[str, Card]:
    """The cards of all safeguards, by name.

    Raises:
        SafeguardError: as `card`.
    """
    return {name: card(safeguard) for name, safeguard in registry().items()}


def table() -> str:
    """All cards as a table in Markdown."""
    lines = ["| name | what it is | form | compared with | doses |", "|---|---|---|---|---|"]
    lines += [
        f"| `{name}` | {found.title} | {found.form} | {found.compared} | {found.doses} |"
        for name, found in cards().items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
