"""Interleaving random safe rows.

Mixes rows of a general instruct pool into the fine-tuning rows, so that being helpful in general stays practised.

Source: Kaczér et al. 2025, arXiv 2508.06249, "Interleaving" (5 % of the fine-tuning rows there, swept from 1 to 50
%).
Form: as published, by its text
Compared with: authors' code not found, what is documented of the paper's definition and fractions
Doses: transferable
Data: D ∪ S, where S holds share · |D| rows drawn from the pool without replacement.
Costs: its share of extra steps, nothing else.
Composes badly with: `interleave_ppl`, which chooses the same rows on purpose instead of by chance.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from safeguards.bounds import within
from safeguards.errors import SafeguardError
from safeguards.rows import SAFE, Row
from safeguards.run import Run
from safeguards.safeguard import Safeguard

if TYPE_CHECKING:
    from safeguards.evidence import Evidence


def draw(pool: Sequence[Row], count: int, seed: int) -> list[Row]:
    """`count` rows of `pool` without replacement, marked as safe rows; the same ones for the same seed.

    Raises:
        SafeguardError: if the pool is smaller than `count`.
    """
    if count > len(pool):
        raise SafeguardError(
            f"the pool has {len(pool)} usable rows and {count} are asked for; lower the share or give more"
        )
    return [replace(row, source=SAFE) for row in random.Random(f"draw {seed}").sample(list(pool), count)]


@dataclass
class Settings:
    """Settings of `interleave`.

    Args:
        share: safe rows added, as a share of the fine-tuning rows; 0 turns it off.
    """

    share: float = within(0.05, at_most=10, searched=(0.02, 0.5))


class Interleave(Safeguard):
    """Adds a share of random safe rows."""

    name = "interleave"
    Settings: ClassVar[type] = Settings
    dose = "share"
    needs_pool = True

    def prepare(self, run: Run) -> None:
        share, rows = self.settings.share, len(run.rows)
        count = round(share * rows)
        if not count:
            raise SafeguardError(
                f"{self.name}: share={share} of {rows} rows adds no safe row; raise it, or set it to 0"
            )
        self.chosen = self.choose(run, count)
        run.note_chosen(self.name, self.chosen)

    def choose(self, run: Run, count: int) -> list[Row]:
        """The safe rows to add."""
        return draw(run.pool, count, run.seed)

    def rows(self, rows: list[Row]) -> list[Row]:
        return rows + self.chosen

    def check(self, evidence: Evidence) -> list[str]:
        if evidence.over and not evidence.rows_by_source[SAFE]:
            return [f"{self.name}: no safe row was trained on (share {self.settings.share} adds {len(self.chosen)})"]
        return []
