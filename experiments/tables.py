"""Make the comparison of a finished sweep again, from its records: `python -m experiments.tables name=demo`."""

from __future__ import annotations

import sys
from pathlib import Path

from experiments.records.sweep_file import PLAN
from experiments.terminal.command_line import SWEEP, CommandLine
from experiments.terminal.ending import ending_in_one_line


@ending_in_one_line()
def main() -> None:
    """The command line."""
    by = "go by this one, as tables call it; default: the one that the sweep went by"
    line = CommandLine("tables", __doc__, {**SWEEP, "judge": by})
    line.add_argument("--all", action="store_true", help="also what only earlier commands of this name asked for")
    given = line.read()
    name, judge = given.settings.get("name", "sweep"), given.settings.get("judge")
    outputs = Path(given.settings.get("output", "outputs"))
    output = outputs / name
    if not (output / PLAN).is_file():
        kept = sorted(path.parent.name for path in outputs.glob(f"*/{PLAN}"))
        sys.exit(
            f"{output}: no sweep there; " + (f"known: {', '.join(kept)}" if kept else "run experiments.sweep first")
        )
    from experiments.report.write import write_report

    if not write_report(output, judge, given.all):
        by = f" and scored by {judge}" if judge else ""
        again = "experiments.rescore" if judge else "experiments.sweep"
        sys.exit(f"{output}: no arm of this sweep is done{by}; run {again} with name={name}")


if __name__ == "__main__":
    main()
