"""Make the comparison of a finished sweep again, from its records: `python -m experiments.tables [NAME]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from experiments.records.sweep_file import PLAN
from experiments.terminal.ending import ending_in_one_line


@ending_in_one_line()
def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", default="sweep", help="name of the sweep (default: sweep)")
    parser.add_argument("--output", default="outputs", help="where sweeps are kept (default: outputs)")
    parser.add_argument("--judge", help="go by this judge (default: the one that the sweep went by)")
    parser.add_argument("--all", action="store_true", help="also what only earlier commands of this name asked for")
    arguments = parser.parse_args()
    output = Path(arguments.output) / arguments.name
    if not (output / PLAN).is_file():
        kept = sorted(path.parent.name for path in Path(arguments.output).glob(f"*/{PLAN}"))
        sys.exit(
            f"{output}: no sweep there; " + (f"known: {', '.join(kept)}" if kept else "run experiments.sweep first")
        )
    from experiments.report.write import write_report

    if not write_report(output, arguments.judge, arguments.all):
        by = f" and scored by {arguments.judge}" if arguments.judge else ""
        again = "experiments.rescore" if arguments.judge else "experiments.sweep"
        sys.exit(f"{output}: no arm of this sweep is done{by}; run {again} with name={arguments.name}")


if __name__ == "__main__":
    main()
