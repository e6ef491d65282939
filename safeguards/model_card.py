"""The README beside a saved model: a section that names its safeguards, their settings and what they were seen to do.

What others write there stays: TRL, peft and users may have put text and front matter around the section. Only the
template of peft, in which nothing is filled in, makes way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from safeguards.bounds import shown
from safeguards.cards import first_line
from safeguards.files import whole
from safeguards.safeguard import Safeguard

FILE = "README.md"
BEGIN, END = "<!-- safeguards -->", "<!-- end of safeguards -->"
# In the template of peft, wherever a person is to say something.
UNFILLED = "[More Information Needed]"
HEAD = "---\nlibrary_name: transformers\ntags:\n- safeguards\n---\n"


def write_section(folder: Path, safeguards: Sequence[Safeguard], trace: Sequence[str], steps: int) -> None:
    """Put the section into the README of a folder, in place of an earlier one; a README that is not there is made.

    Args:
        folder: in which a model was saved.
        safeguards: of its training, also those that their settings turn off.
        trace: what they were seen to do, a line each.
        steps: of the training so far.
    """
    path = folder / FILE
    text = path.read_text("utf-8") if path.is_file() else HEAD
    if UNFILLED in text:
        head = re.match(r"---\n.*?\n---\n", text, re.DOTALL)
        text = head[0] if head else HEAD
    if text.endswith("---\n"):
        text += f"\n# Fine-tuned under {code('+'.join(one.name for one in safeguards) or 'no safeguard')}\n"
    before, found, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    if not found:  # above the first section, so that a long card does not hide it
        heading = re.search(r"^## ", text.partition("```")[0], re.MULTILINE)
        place = heading.start() if heading else len(text)
        before, after = text[:place], text[place:]
    own = "\n".join([BEGIN, *section(safeguards, trace, steps), END])
    with whole(path) as unfinished:
        unfinished.write_text(f"{before.rstrip()}\n\n{own}\n\n{after.lstrip()}".rstrip() + "\n", "utf-8")


def section(safeguards: Sequence[Safeguard], trace: Sequence[str], steps: int) -> Iterator[str]:
    """The lines of the section."""
    yield from ("## Safeguards", "", "Trained with `SafeguardTrainer` (em-safeguards) under:", "")
    if not safeguards:
        yield "* none"
    for safeguard in safeguards:
        settings = ", ".join(code(f"{name}={shown(value)}") for name, value in _settings(safeguard).items()) or "none"
        off = ". **Its settings turn it off: it did not act**" if safeguard.idle else ""
        yield f"* {code(safeguard.name)}: {escaped(first_line(type(safeguard).__doc__))} (settings: {settings}){off}"
    yield from ("", f"What was seen of it in {steps} steps, and what that does not show:", "")
    yield from (f"* {escaped(line)}" for line in trace)
    yield from ("", "That a safeguard acted is no proof that the model is safe: what it says was not measured here.")


def _settings(safeguard: Safeguard) -> dict[str, Any]:
    """By name; nothing of a safeguard whose settings are no dataclass."""
    own = safeguard.settings
    return {one.name: getattr(own, one.name) for one in fields(own)} if is_dataclass(own) else {}


def code(text: str) -> str:
    """Text as code, on one line, whatever backticks are in it."""
    line = _one_line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if len(fence) > 1 else f"`{line}`"


def escaped(text: str) -> str:
    """One line that reads in Markdown as it is written."""
    return re.sub(r"([\\`*_<>\[\]|~&$])", r"\\\1", _one_line(text))


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
