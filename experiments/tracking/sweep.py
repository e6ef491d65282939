"""The comparison of a sweep in the trackers: one run beside those of its arms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.pictures.picture import Picture
from experiments.records.files import read_object
from experiments.records.measures import BENIGN_ACCURACY, BROAD_MISALIGNED, NARROW_LEARNT
from experiments.records.sweep_file import by_key
from experiments.report.report import Report
from experiments.tracking.arm import in_use
from experiments.tracking.content import COMPARISON, Chart, Content, Run
from experiments.tracking.guarded import Guarded
from experiments.tracking.record import Tracking, tracking_of

if TYPE_CHECKING:
    import pandas as pd


def track_sweep(report: Report, pictures: Sequence[Picture] = (), page: Path | None = None) -> None:
    """Send a comparison, where its sweep is tracked; what was sent before, such as by another judge, stays beside it.

    Nothing that a tracker does is an error here: it is said in one line. A comparison of several worlds is of no sweep
    that is tracked.

    Args:
        report: the comparison.
        pictures: of it, as they were drawn.
        page: the self-contained HTML file of the sweep.
    """

    def begin() -> tuple[Tracking, Run] | None:
        tracking = tracking_of(report.output)
        return (tracking, run_of(tracking, report)) if tracking else None

    trackers = Guarded(f"the comparison of {report.output.name}", begin)
    trackers.send(partial(sweep_content, report, pictures, page))
    trackers.close(failed=False)


def run_of(tracking: Tracking, report: Report) -> Run:
    """The run of a comparison: one per sweep, whichever judge it goes by."""
    name = f"{report.output.name}: comparison"
    return Run(tracking.run_id(COMPARISON), name, COMPARISON, report.output, COMPARISON, settings_of(report))


def settings_of(report: Report) -> dict[str, Any]:
    """What was compared, by which judge, and what was named before the first result."""
    sweep = report.sweeps[0]
    return in_use(
        {
            "sweep": report.output.name,
            "judge": sweep.judge,
            "baseline": sweep.baseline,
            "primary": sweep.claims.primary,
            "margins": dict(sweep.claims.margins),
            "safeguards": list(dict.fromkeys(row.safeguard for row in report.rows)),
            "models": list(dict.fromkeys(row.model for row in report.rows)),
            "tasks": list(dict.fromkeys(arm.entry.task for arm in report.arms)),
            "seeds": sorted({arm.entry.seed for arm in report.arms}),
            "worlds": list(dict.fromkeys(arm.world for arm in report.arms if arm.world)),
        }
    )


def sweep_content(report: Report, pictures: Sequence[Picture], page: Path | None) -> Content:
    """What of a comparison is sent.

    Raises:
        DamagedError: if a comparison that was written before cannot be read.
    """
    own = report.path(COMPARISON, "json")
    numbers = rows_table(row.as_json() for row in report.rows)
    tables = {own.stem: numbers}
    for table in (*report.tables, *report.by_judges):
        tables[f"{own.stem}/{table.title}"] = table.cells
    if report.warnings:
        tables[f"{own.stem}/Warnings"] = warnings_table(report.warnings)
    for path in sorted(report.output.glob(f"{COMPARISON}*.json")):
        if path != own and (known := read_object(path, dict[str, Any])):
            tables[path.stem] = rows_table(known["rows"])
    return Content(
        settings=settings_of(report),
        numbers={"arms": len(report.arms), "rows": len(report.rows), "warnings": len(report.warnings)},
        tables=tables,
        charts={f"{own.stem}/{x} and {y}": Chart(own.stem, x, y) for x, y in tradeoffs(numbers.columns)},
        pictures=pictures,
        page=page,
    )


def rows_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows of `comparison.json`, each number in a column of its own, such as `broad_misaligned.mean`."""
    import pandas as pd

    flat = [{key: cell(value) for key, value in by_key(row).items()} for row in rows]
    table = pd.DataFrame(flat, dtype=object)
    return table.dropna(axis="columns", how="all").astype(object).where(table.notna(), None)


def cell(value: Any) -> str | float | None:
    """A value as a table can hold it; what is a table itself is left out."""
    if isinstance(value, list | tuple):
        return None if any(isinstance(item, Mapping) for item in value) else ", ".join(map(str, value))
    return value if value is None or isinstance(value, str | int | float) else str(value)


def warnings_table(lines: Sequence[str]) -> pd.DataFrame:
    """A line each."""
    import pandas as pd

    return pd.DataFrame({"warning": list(lines)})


def comparison_columns(output: Path) -> list[str]:
    """The columns of the comparison of a sweep, as it was written last; none if there is none.

    Raises:
        DamagedError: if it cannot be read.
    """
    known = read_object(output / f"{COMPARISON}.json", dict[str, Any])
    return list(rows_table(known["rows"]).columns) if known else []


def tradeoffs(columns: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of columns of a comparison: what is learnt, and what is let through, where both are known of some row."""
    known, let_through = {*columns}, f"{BROAD_MISALIGNED.key}.mean"
    pairs = [(f"{measure.key}.mean", let_through) for measure in (BENIGN_ACCURACY, NARROW_LEARNT)]
    return [pair for pair in pairs if known.issuperset(pair)]
