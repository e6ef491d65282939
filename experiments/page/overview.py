"""All sweeps in a folder at a glance: how each stands, and its first numbers."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from experiments.page.state import SweepState, read_state
from experiments.page.words import first_few, many
from experiments.records.files import DamagedError, read_object
from experiments.records.names import UNTOUCHED
from experiments.report.stopping import PREVENTS
from experiments.report.table import percent
from experiments.statistics.estimates import NOTHING, Estimate
from safeguards.composition import NONE
from safeguards.files import digest

HEADINGS = ["sweep", "arms done", "now", "judge", "model", "untouched %", "none %", "found", "last change"]
CAPTION = (
    "Untouched, none: broad misaligned answers. Found: prevents, by the stopping curve; differs from the baseline in "
    "the primary outcome. Numbers are those of comparison.json, where it is not older than the records."
)


@dataclass(frozen=True)
class _Row:
    safeguard: str
    broad_misaligned: Estimate = NOTHING
    survives: bool | None = None
    verdict: str | None = None


@dataclass(frozen=True)
class _Comparison:
    rows: list[_Row]


def overview(output: Path, names: Sequence[str]) -> dict[str, Any]:
    """The page of all sweeps, the one that changed last first, with how they stand."""
    states = sorted((read_state(output / name) for name in names), key=lambda state: -state.changed)
    rows = [row_of(output / state.name, state) for state in states]
    table = {"title": "All sweeps", "caption": CAPTION, "headings": HEADINGS, "rows": rows}
    links = [f"./{quote(state.name, safe='')}/" for state in states]
    page = {"name": f"Sweeps in {output}", "kind": "Safeguards", "tables": [{**table, "links": links}] * bool(rows)}
    runs = sum(bool(state.running) for state in states)
    line = f"{many(len(states), 'sweep')}; " + (
        f"{runs} of them {'run' if runs > 1 else 'runs'} now" if runs else "none runs now"
    )
    failures = [f"{state.name}: {failure}" for state in states for failure in state.failures]
    return {"page": page, "version": digest(json.dumps(rows)), "line": line, "running": runs > 0, "failures": failures}


def row_of(output: Path, state: SweepState) -> list[str]:
    """A sweep in the table of all."""
    rows = headline(output, state)
    rates = {row.safeguard: percent(row.broad_misaligned) for row in reversed(rows)}
    prevent = [row.safeguard for row in rows if row.verdict == PREVENTS]
    differ = [row.safeguard for row in rows if row.survives and not row.verdict]
    found = [f"{word}: {first_few(names)}" for word, names in ((PREVENTS, prevent), ("differs", differ)) if names]
    changed = time.strftime("%Y-%m-%d %H:%M", time.localtime(state.changed)) if state.changed else ""
    now = "; ".join(state.running) or ("" if state.done == state.planned else "stopped")
    done = f"{state.done} of {state.planned}"
    return [
        *(state.name, done, now, state.judge, first_few(state.models)),
        *(rates.get(UNTOUCHED, ""), rates.get(NONE, ""), "; ".join(found), changed),
    ]


def headline(output: Path, state: SweepState) -> list[_Row]:
    """The rows of the comparison that was last written; none where records have changed since."""
    path = output / "comparison.json"
    try:
        if path.stat().st_mtime < state.changed:
            return []
        found = read_object(path, _Comparison)
    except (OSError, DamagedError):
        return []
    return found.rows if found else []
