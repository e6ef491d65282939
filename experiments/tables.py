"""Make the comparison of a finished sweep again, from its records: `python -m experiments.tables name=demo`."""

from __future__ import annotations

import sys

from experiments.config.folders import typed_folder
from experiments.records.arm_files import ARMS, judges_of
from experiments.records.sweep_file import PLAN, kept_sweeps, read_sweep
from experiments.terminal.command_line import SWEEP, CommandLine
from experiments.terminal.ending import ending_in_one_line


@ending_in_one_line()
def main() -> None:
    """The command line."""
    by = "go by this one, as tables call it; default: the one that the sweep went by"
    line = CommandLine("tables", __doc__, {**SWEEP, "judge": by})
    line.add_argument("--all", action="store_true", help="also what only earlier commands of this name asked for")
    given = line.read()
    output, judge = typed_folder(given.settings, "sweep"), given.settings.get("judge")
    if not (output / PLAN).is_file():
        kept = kept_sweeps(output.parent)
        sys.exit(
            f"{output}: no sweep there; " + (f"known: {', '.join(kept)}" if kept else "run experiments.sweep first")
        )
    from experiments.report.write import write_report

    if not write_report(output, judge, given.all):
        arms = read_sweep(output).planned(given.all)
        scored = sorted({name for arm in arms for name in judges_of(output / ARMS / arm.folder)})
        by = f" and scored by {judge} (judges that scored some: {', '.join(scored) or 'none'})" if judge else ""
        again = "experiments.rescore" if judge else "experiments.sweep"
        sys.exit(f"{output}: no arm of this sweep is done{by}; run {again} with name={output.name}")


if __name__ == "__main__":
    main()
