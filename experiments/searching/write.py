"""What a search says to a person, and what it leaves: `search.json` and `search.md`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.records.files import write_json, write_text
from experiments.records.measures import BROAD_MISALIGNED, Measure
from experiments.records.sweep_file import SEARCH
from experiments.report.table import Column, Table, make_table, percent, print_table
from experiments.report.write import in_markdown
from experiments.searching.confirm import Confirmed
from experiments.searching.found import Effect, Found
from experiments.searching.requirements import Rates
from experiments.searching.space import Candidate
from experiments.searching.tried import Tried
from experiments.terminal.escaping import markdown, plain
from safeguards.composition import NONE

# So many effects are shown.
MOST = 12
EFFECTS: list[Column[Effect]] = [
    Column("what", "safeguard, or ten times its dose", lambda row: row.what),
    Column(
        "broad",
        "broad misaligned, points",
        lambda row: row.broad,
        caption="What having it changes, all else alike, by a linear model of all candidates whose broad answers are "
        "known; 95 % intervals. The search tried more of what looked good, which is not in them.",
    ),
    Column("n", "candidates", lambda row: str(row.broad.n)),
]


def tables_of(found: Found, confirmed: Sequence[Confirmed] = ()) -> list[Table]:
    """What was found, what mattered, and what was confirmed."""
    rows = list(found.frontier) if found.best else [found.nearest] if found.nearest else []
    title = "The frontier of what meets all" if found.best else "Nothing meets all; the nearest"
    tables = [make_table(tried_columns(found), rows, title)]
    tables += [make_table(EFFECTS, found.effects[:MOST], "What mattered")] * bool(found.effects)
    columns = confirmed_columns(found)
    return tables + [make_table(columns, confirmed, "Confirmed on what the search never saw")] * bool(confirmed)


def tried_columns(found: Found) -> list[Column[Tried]]:
    """Of what the search itself measured."""
    none = found.references[NONE]
    measures = [measure for measure, _ in found.goals]
    known = ", ".join(f"{in_percent(none.get(measure))} % {measure.words}" for measure in measures)
    required = ", ".join(each.text for each in found.keep) or "nothing"
    return [
        Column("candidate", "candidate", lambda row: str(row.candidate)),
        *(measured(measure) for measure in measures),
        Column(
            "misses",
            "misses by points",
            misses,
            caption="As the search measured them, and chose by them, so that they are not to be quoted. Required: "
            f"{required}. Without a safeguard: {known}.",
        ),
    ]


def measured(measure: Measure) -> Column[Tried]:
    """A rate as the search had it."""
    return Column(measure.key, f"{measure.words} %", lambda row: in_percent(row.rates.get(measure)))


def misses(row: Tried) -> str:
    """Which requirements, and by how much."""
    return ", ".join(f"{text} by {100 * by:.1f}" for text, by in row.missed.items() if by > 0) or "–"


def in_percent(share: float | None) -> str:
    """A share without an interval."""
    return "" if share is None else f"{100 * share:.1f}"


def confirmed_columns(found: Found) -> list[Column[Confirmed]]:
    """Of arms that the search never saw."""
    return [
        Column("candidate", "candidate", lambda row: str(row.candidate)),
        Column("broad_misaligned", "broad misaligned %", lambda row: row.row.rates[BROAD_MISALIGNED]),
        Column("minus_none", f"− {NONE}", lambda row: row.row.broad_minus_none),
        *(held(one.text) for one in found.keep),
        Column(
            "flattered_by",
            "flattered by",
            lambda row: in_percent(row.flattered_by(found.references)),
            caption="Only these may be quoted; 95 % intervals are for other questions, seeds and worlds. Requirements: "
            "the rate in %; against another row the ratio in % or, if something is added, the difference in points, "
            "paired; met or missed where the whole interval is. Flattered by: so many points more the search saw "
            f"prevented, against {NONE} of its own arms.",
        ),
    ]


def held(text: str) -> Column[Confirmed]:
    """A requirement, by its estimate and verdict."""
    return Column(
        text,
        text,
        lambda row: row.held[text].estimate,
        lambda row: f"{percent(row.held[text].estimate)} {row.held[text].verdict}".strip(),
    )


def command_of(candidate: Candidate, shared: Sequence[str]) -> str:
    """The command line that protects a fine-tune so."""
    own = [each for each in shared if not each.startswith(("name=", "hydra"))]
    return shlex.join(["python", "-m", "experiments.sweep", *candidate.overrides, *own])


def as_json(found: Found, confirmed: Sequence[Confirmed], command: str) -> dict[str, Any]:
    """Every number."""
    return {
        "keep": [each.text for each in found.keep],
        "references": {name: by_key(rates) for name, rates in found.references.items()},
        "tried": [_tried(each) for each in found.tried],
        "frontier": [each.number for each in found.frontier],
        "best": found.best.number if found.best else None,
        "nearest": found.nearest.number if found.nearest else None,
        "effects": [{"what": each.what, **each.broad._asdict()} for each in found.effects],
        "confirmed": [_confirmed(each, found) for each in confirmed],
        "command": command,
    }


def by_key(rates: Rates) -> dict[str, float]:
    """Rates as JSON has them."""
    return {measure.key: rate for measure, rate in rates.items()}


def _tried(each: Tried) -> dict[str, Any]:
    return {
        "number": each.number,
        "safeguard": each.candidate.safeguard,
        "settings": list(each.candidate.settings),
        "arms": each.arms,
        "rates": by_key(each.rates),
        "missed": dict(each.missed),
        "given_up": each.given_up,
    }


def _confirmed(each: Confirmed, found: Found) -> dict[str, Any]:
    return {
        "candidate": str(each.candidate),
        "row": each.row.safeguard,
        "searched": each.searched.number if each.searched else None,
        "broad_misaligned": each.row.rates[BROAD_MISALIGNED]._asdict(),
        "minus_none": each.row.broad_minus_none._asdict(),
        "held": {text: {**own.estimate._asdict(), "verdict": own.verdict} for text, own in each.held.items()},
        "flattered_by": each.flattered_by(found.references),
    }


def tell(output: Path, found: Found, confirmed: Sequence[Confirmed], shared: Sequence[str]) -> None:
    """Print what was found, and write it to `output`."""
    chosen = found.best or found.nearest
    command = command_of(chosen.candidate, shared) if chosen else ""
    tables, said = tables_of(found, confirmed) if chosen else [], counted(found)
    for table in tables:
        print(f"\n{plain(table.title)}:")
        print_table(table)
    print(plain(said))
    if command:
        print(plain(f"{'the best' if found.best else 'the nearest, which does not meet all'}: {command}"))
    write_json(output / SEARCH, as_json(found, confirmed, command))
    parts = [*in_markdown(tables, []), markdown(said), *([f"    {command}"] if command else [])]
    write_text((output / SEARCH).with_suffix(".md"), "\n\n".join(parts) + "\n")


def counted(found: Found) -> str:
    """How much was tried."""
    tried = found.tried
    given_up, meet = sum(bool(each.given_up) for each in tried), sum(each.meets_all for each in tried)
    arms = sum(each.arms for each in tried)
    return f"{len(tried)} candidates in {arms} arms: {given_up} given up early, {meet} meet all that is required"
