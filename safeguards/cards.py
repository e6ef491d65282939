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

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from inspect import cleandoc
from typing import Any

from safeguards.bounds import bounds_of
from safeguards.composition import registry
from safeguards.errors import SafeguardError
from safeguards.safeguard import Safeguard

BY_TEXT, NOT_FOUND = "as published, by its text", "authors' code not found"
VALID = {
    "Form": rf"as published|{BY_TEXT}|variant: .+|ours",
    "Compared with": rf"[\w.-]+/[\w.-]+: .+|{NOT_FOUND}, .+",
    "Doses": r"transferable|not transferable: .+",
}
# The paragraphs that say what a safeguard does at a seam.
SEAMS = ("Arguments", "Data", "Prompt", "Activations", "Loss", "Gradient", "Weights")


@dataclass(frozen=True)
class Card:
    """What a safeguard says of itself, each on one line.

    Attributes:
        title: of the method.
        seams: where it acts, in the order of a training step.
        source: where it is published.
        form: "as published", "variant: …" or "ours".
        compared: the authors' code that it was compared with, or that there is none.
        doses: whether a published dose means the same here.
    """

    title: str
    seams: tuple[str, ...]
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
    found = {name: " ".join(words.split()) for name, words in paragraphs(text).items()}
    for name, form in VALID.items():
        if not re.fullmatch(form, found.get(name, "")):
            raise SafeguardError(f"{safeguard.name}: its card says {name}: {found.get(name)!r}; must be {form}")
    if found["Form"] == "as published" and found["Compared with"].startswith(NOT_FOUND):
        raise SafeguardError(f"{safeguard.name}: its card says as published, and {NOT_FOUND}; say {BY_TEXT!r}")
    seams = tuple(seam.lower() for seam in SEAMS if seam in found)
    return Card(first_line(text), seams, found.get("Source", ""), found["Form"], found["Compared with"], found["Doses"])


def paragraphs(text: str) -> dict[str, str]:
    """The named paragraphs of a card, each with its lines: one goes on until the next, whose name starts a line."""
    return dict(re.findall(r"^([A-Z][a-z ]+): (.+?)(?=\n[A-Z][a-z ]+: |\n\n|\Z)", text, re.MULTILINE | re.DOTALL))


def first_line(doc: str | None) -> str:
    """The first line of a docstring, without its full stop."""
    return cleandoc(doc or "").split("\n", 1)[0].rstrip(".")


def explained(settings: type) -> dict[str, str]:
    """What each setting means, in the order of the fields: the lines under "Args:" of its class and of what it extends.

    A line that goes on is indented deeper; a setting that is not explained has an empty text.
    """
    found: dict[str, str] = {}
    for parent in reversed(settings.__mro__):
        _, _, lines = cleandoc(parent.__doc__ or "").partition("Args:\n")
        found |= dict(re.findall(r"^ {4}(\w+): (.+(?:\n {5,}.+)*)", lines, re.MULTILINE))
    return {one.name: " ".join(found.get(one.name, "").split()) for one in fields(settings)}


def doses(safeguard: type[Safeguard]) -> dict[str, Any]:
    """The settings that can turn it off, and their defaults: those that say so, and count with the other defaults."""
    settings = safeguard.Settings()
    only = {one.name: bounds_of(one).only for one in fields(settings)}
    return {
        name: getattr(settings, name)
        for name, text in explained(safeguard.Settings).items()
        if "turns it off" in text and ((on := only[name]) is None or getattr(settings, on[0]) in on[1])
    }


def cards() -> dict[str, Card]:
    """The cards of all safeguards, by name.

    Raises:
        SafeguardError: as `card`.
    """
    return {name: card(safeguard) for name, safeguard in registry().items()}


def as_markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [columns, ["---" for _ in columns], *rows])


def comparisons() -> str:
    """For every safeguard how it relates to its source, as a table in Markdown."""
    rows = [(f"`{name}`", x.title, x.form, x.compared, x.doses) for name, x in cards().items()]
    return as_markdown(("name", "what it is", "form", "compared with", "doses"), rows)


def overview() -> str:
    """For every safeguard what it does, where it acts, and at which dose by default, as a table in Markdown."""
    rows = []
    for name, found in cards().items():
        safeguard = registry()[name]
        what = first_line(safeguard.__doc__)
        dose = ", ".join(f"`{setting}={value}`" for setting, value in doses(safeguard).items())
        # Up to the number of the paper, or to what is said of it.
        source = re.match(r"[^;(]*?arXiv [\d.]*\d|[^;(]+", found.source)
        assert source, found.source
        form = found.form.split(":")[0]
        rows.append((f"`{name}`", what, ", ".join(found.seams), dose, form, source[0].strip()))
    return as_markdown(("name", "what it does", "acts at", "dose by default", "form", "source"), rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What the safeguards are, and how they relate to their sources.")
    parser.add_argument("--markdown", action="store_true", help="what each does, where, and at which dose, instead")
    print(overview() if parser.parse_args().markdown else comparisons())
