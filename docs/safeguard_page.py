"""The page of one safeguard, made of its card, its class, our tables and the published ones."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields
from inspect import cleandoc
from typing import Any, get_type_hints

import api
from numbers_of import capital, cell, costs, ours, published

from safeguards import cards
from safeguards.bounds import bounds_of, in_yaml
from safeguards.composition import registry
from safeguards.errors import SafeguardError
from safeguards.safeguard import Safeguard

FOLDER = "safeguards/methods"
# What every page has, in this order; a page that lacks one is an error.
PARTS = (
    *(
        "Formula",
        "Settings",
        "Doses",
        "Costs",
        "What it composes badly with",
        "Our result",
        "Published result",
        "Source",
    ),
    "API",
)
# Paragraphs of a card that stand under a heading of their own.
ELSEWHERE = ("Source", "Form", "Compared with", "Doses", "Costs", "Composes badly with")
# What is said of a safeguard that declares it.
NEEDS = {
    "needs_reference": "the aligned reference, run beside the model",
    "needs_pool": "a pool of safe rows",
    "needs_scorers": "misaligned scorers, which a sweep trains",
    "needs_layers": "a model with one list of layers",
    "needs_lora": "LoRA",
    "reads_weights": "the weight matrices themselves",
}
# The first clause of a paragraph, an update within one, and what tells mathematics from words, if it is not too short.
OPENING = re.compile(r"(?:(?! (?:at|for|where|being) )(?:[^,.;:(\n]|\([^)]*\)|\.(?=\S)))+")
UPDATE = re.compile(r"\w+ ← (?:(?! (?:at|for|where|and) )[^,.;:\n])+")
SHORT = 6
MATHS = re.compile(r"[·←∪Σ‖Δ∇√≤≥]|\w = ")


def page(name: str) -> str:
    """The whole page.

    Raises:
        SafeguardError: naming the part for which nothing is known.
    """
    safeguard = registry()[name]
    found = cards.card(safeguard)
    doc = cleandoc(sys.modules[safeguard.__module__].__doc__ or "")
    said = cards.paragraphs(doc)
    parts = {
        "Formula": formula(said),
        "Settings": settings(safeguard),
        "Doses": doses(safeguard, found),
        "Costs": costs(name, said),
        "What it composes badly with": composition(safeguard, said),
        "Our result": ours(name),
        "Published result": published(name),
        "Source": source(found),
        "API": "\n\n".join(
            f"::: {safeguard.__module__}.{one}\n    options: {{heading_level: 3, show_source: true}}"
            for one in api.public(safeguard.__module__)
        ),
    }
    for part in PARTS:
        if not parts[part].strip():
            raise SafeguardError(
                f"{name}: its page has nothing under {part!r}; say it in the card at the top of its file"
            )
    opening = [f"# {found.title}", f"`{name}`: {cards.first_line(safeguard.__doc__)}. *Acts at: {acts_at(found)}.*"]
    opening += [introduction(doc)]
    return "\n\n".join([*opening, *(text for part in PARTS for text in (f"## {part}", parts[part]))]) + "\n"


def acts_at(found: cards.Card) -> str:
    """The seams, with a link to what they are."""
    return f"[{', '.join(found.seams)}](../README.md#seams)"


def introduction(doc: str) -> str:
    """What stands between the title of a card and its named paragraphs."""
    return "\n\n".join(part for part in doc.split("\n\n")[1:] if not re.match(r"[A-Z][a-z ]+: ", part))


def formula(said: dict[str, str]) -> str:
    """What the safeguard does at each of its seams, mathematics apart; then what else its card says, such as a gate."""
    seams = [f"**At the seam {seam.lower()}:** {apart(said[seam])}" for seam in cards.SEAMS if seam in said]
    others = [f"**{name}:** {apart(text)}" for name, text in said.items() if name not in (*cards.SEAMS, *ELSEWHERE)]
    return "\n\n".join([*seams, *others]) if seams else ""


def apart(text: str) -> str:
    """A paragraph; what begins it as a formula, and lines that are indented, as blocks; updates as code."""
    lines = re.sub(r"\n {4,}(\S.*)", r"\n\n```text\n\1\n```\n", text)
    opening = OPENING.match(lines)
    if opening is None or not MATHS.search(opening[0]) or len(opening[0]) <= SHORT:
        return UPDATE.sub(r"`\g<0>`", lines)
    rest = UPDATE.sub(r"`\g<0>`", lines[opening.end() :].lstrip(",;:. "))
    return f"\n\n```text\n{' '.join(opening[0].split())}\n```" + f"\n\n… {rest}" * bool(rest)


def settings(safeguard: type[Safeguard]) -> str:
    """Every setting, what it may be, and what it means."""
    meanings, types = cards.explained(safeguard.Settings), get_type_hints(safeguard.Settings)
    rows = [
        (f"`{one.name}`", f"`{default(one)}`", may_be(safeguard, one, types[one.name]), cell(meanings[one.name]))
        for one in fields(safeguard.Settings)
    ]
    if unexplained := [row[0] for row in rows if not row[3]]:
        raise SafeguardError(f"{safeguard.name}: nothing says what {', '.join(unexplained)} means; say it under Args:")
    how = f"In a sweep `safeguards.{safeguard.name}.{fields(safeguard.Settings)[0].name}=…`; the defaults are these."
    return f"{how}\n\n{cards.as_markdown(('setting', 'default', 'may be', 'meaning'), rows)}"


def default(one: Field[Any]) -> str:
    """As it is typed."""
    if one.default is MISSING:
        value = one.default_factory() if one.default_factory is not MISSING else None
    else:
        value = one.default
    text = str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:50]}…"


def may_be(safeguard: type[Safeguard], one: Field[Any], declared: Any) -> str:
    """Its type and bounds, and with which other setting it counts."""
    found = bounds_of(one)
    words = " or ".join(f"`{word}`" for word in found.one_of) or in_yaml(declared)
    facts = [words, found.limits, "at least 0" if one.name == safeguard.dose and not found.limits else ""]
    if found.only:
        facts.append(f"only with `{found.only[0]}={','.join(found.only[1])}`")
    return cell(", ".join(filter(None, facts)))


def doses(safeguard: type[Safeguard], found: cards.Card) -> str:
    """The dose, and whether a published one means the same here."""
    own = " and ".join(f"`{name}={value}`" for name, value in cards.doses(safeguard).items())
    return f"By default {own}. Published doses are **{found.doses.rstrip('.').replace(':', '**:', 1)}" + (
        "." if ":" in found.doses else "**."
    )


def composition(safeguard: type[Safeguard], said: dict[str, str]) -> str:
    """What the card warns of, and what is declared: conflicts, order and needs."""
    if "Composes badly with" not in said:
        return ""
    name, others = safeguard.name, registry()
    lines = [f"Refused with {to(other)}: {why}." for other, why in safeguard.conflicts_with.items()]
    lines += [
        f"Refused with {to(other)}: {one.conflicts_with[name]}."
        for other, one in others.items()
        if name in one.conflicts_with and other not in safeguard.conflicts_with
    ]
    lines += [f"Acts after {', '.join(map(to, safeguard.runs_after))}, where they are joined."] * bool(
        safeguard.runs_after
    )
    later = [other for other, one in others.items() if name in one.runs_after]
    lines += [f"Acts before {', '.join(map(to, later))}."] * bool(later)
    needs = [what for key, what in NEEDS.items() if getattr(safeguard, key)]
    lines += [f"Needs {', '.join(needs)}."] * bool(needs)
    lines += [f"Refused under FSDP: {safeguard.unsharded}."] * bool(safeguard.unsharded)
    return "\n".join([f"{capital(said['Composes badly with'])}\n", *(f"* {line}" for line in lines)])


def source(found: cards.Card) -> str:
    """Where it is published, and what it was compared with."""
    linked = re.sub(r"arXiv (\d{4}\.\d{4,5})", r"[arXiv \1](https://arxiv.org/abs/\1)", found.source)
    return f"{linked}\n\n* Form: {found.form}\n* Compared with: {found.compared}" if found.source else ""


def to(name: str) -> str:
    """A link to the page of another safeguard."""
    return f"[`{name}`]({name}.md)" if name in registry() else f"`{name}`"


def overview(names: Sequence[str]) -> str:
    """The page above all of these."""
    table = re.sub(r"^\| `(\w+)` \|", r"| [`\1`](\1.md) |", cards.overview(), flags=re.MULTILINE)
    return (
        f"# All safeguards\n\n{len(names)} safeguards; each page has formula, settings, doses, costs, what it composes "
        f"badly with, our result and the published one.\n\n{table}\n\n## How each relates to its source\n\n"
        f"{cards.comparisons()}\n"
    )
