"""Published numbers on safeguards, table by table: `published.yaml`, which says where each was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from experiments.records.names import UNTOUCHED
from safeguards.composition import NONE

FILE = Path(__file__).with_name("published.yaml")
# Arms that have no safeguard, so that none prevents anything there.
WITHOUT = (UNTOUCHED, NONE)


@dataclass(frozen=True)
class PublishedRow:
    """What a table says of a safeguard, in its unit; None where it says nothing.

    Args:
        safeguard: as our tables call it, with settings that its label would have.
        called: by the source.
        dose: its settings there, as far as they are known.
        unlike: how it is known to differ from ours.
        general_misaligned, general_incoherent: answers to questions about other things than the task.
        in_domain_misaligned, in_domain_incoherent: to those about the task.
        reduction: of the general misalignment without a safeguard, where only this is published.
        benign_accuracy: after a benign task.
    """

    safeguard: str
    called: str
    dose: Mapping[str, Any] = field(default_factory=dict)
    unlike: str = ""
    general_misaligned: float | None = None
    general_incoherent: float | None = None
    in_domain_misaligned: float | None = None
    in_domain_incoherent: float | None = None
    reduction: float | None = None
    benign_accuracy: float | None = None


@dataclass(frozen=True)
class PublishedTable:
    """A table, with what must be known to read it.

    Args:
        name: by which ours call it.
        source, arxiv, table: the paper, its number there with the version, and which of its tables.
        taken: where the numbers were read.
        model, judge, domain, unit: what they are about.
        rows: one for each arm.
        preset: what runs it here, if there is such.
        tasks: what its task is called here.
        judged_by: the judge's model, as its settings would say it; nothing where it is not known.
    """

    name: str
    source: str
    arxiv: str
    table: str
    taken: str
    model: str
    judge: str
    domain: str
    unit: str
    rows: Sequence[PublishedRow]
    preset: str = ""
    tasks: Sequence[str] = ()
    judged_by: str = ""

    @property
    def unprotected(self) -> float | None:
        """General misaligned answers without a safeguard, as a share."""
        found = [row.general_misaligned for row in self.rows if row.safeguard == NONE]
        return None if not found or found[0] is None else found[0] / 100

    def prevented(self) -> Mapping[str, float]:
        """By safeguard, the part of the general misalignment without one that it prevents; nothing of arms without."""
        found, unprotected = {}, self.unprotected
        for row in self.rows:
            if row.reduction is not None:
                found[row.safeguard] = row.reduction / 100
            elif unprotected and row.general_misaligned is not None and row.safeguard not in WITHOUT:
                found[row.safeguard] = 1 - row.general_misaligned / 100 / unprotected
        return found


@dataclass(frozen=True)
class PublishedCriteria:
    """What a source says of a safeguard by four criteria: ✓ met, ∼ in part, ✗ not."""

    safeguard: str
    called: str
    no_misalignment: str
    narrow_learnt: str
    benign_learnt: str
    coherent: str


@cache
def published_tables() -> Sequence[PublishedTable]:
    """All of them, in the order of the file."""
    tables = yaml.safe_load(FILE.read_text("utf-8"))["tables"]
    return [PublishedTable(**{**table, "rows": [PublishedRow(**row) for row in table["rows"]]}) for table in tables]


@cache
def published_table(name: str) -> PublishedTable:
    """The one of this name."""
    return next(table for table in published_tables() if table.name == name)


@cache
def published_criteria() -> tuple[str, Sequence[PublishedCriteria]]:
    """Where they stand, and those of each safeguard."""
    found = yaml.safe_load(FILE.read_text("utf-8"))["criteria"]
    return f"arXiv {found['arxiv']}, {found['table']}", [PublishedCriteria(**row) for row in found["rows"]]
