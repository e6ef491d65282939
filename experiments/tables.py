"""Make the comparison of a finished sweep again, from its records: `python -m experiments.tables name=demo`.

With `--by question`, `task`, `seed` or `world`, a closer look instead: printed, and in `by_question.csv` and the like.
With `--by source`, how much domains, worlds and seeds each make it differ, and what a comparison needs for that.
With `worlds=w1000,w1001`, one comparison of these sweeps, of which each is a world, in which intervals are for others.
With `--paper security`, the sweep beside a published table, and by the four criteria of its source.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.config.folders import typed_folder, typed_sweeps
from experiments.records.arm_files import ARMS, judges_of
from experiments.records.sweep_file import PLAN, no_sweep, read_sweep
from experiments.terminal.command_line import SWEEP, CommandLine
from experiments.terminal.ending import ending_in_one_line
from safeguards.composition import NONE

BASELINE = "set rows against this one, as tables call it; default: that of the sweep, mostly none"
WORLDS = "compare these sweeps together, with commas: one for each world; name=… is then what is written, not read"
SOURCE = "source"
BY = ("question", "task", "seed", "world", SOURCE)
PAPERS = ("security", "code", "opswap")


@ending_in_one_line()
def main() -> None:
    """The command line."""
    by = "go by this one, as tables call it; default: the one that the sweep went by"
    line = CommandLine("tables", __doc__, {**SWEEP, "judge": by, "baseline": BASELINE, "worlds": WORLDS})
    line.add_argument("--all", action="store_true", help="also what only earlier commands of this name asked for")
    line.add_argument("--by", action="append", choices=BY, help="a closer look, instead of the comparison")
    line.add_argument("--paper", action="append", choices=PAPERS, help="beside this published table, instead of that")
    given = line.read()
    worlds = checked(line, given)
    output = typed_folder(given.settings, "worlds" if worlds else "sweep")
    if worlds and (output / PLAN).is_file():
        line.error(f"name={output.name}: is a sweep, whose comparison would be lost; write to another name=…")
    if not worlds and not (output / PLAN).is_file():
        sys.exit(no_sweep(output))
    judge = given.settings.get("judge")
    made = make(output, given, worlds)
    if not made:
        arms = read_sweep(output).planned(given.all)
        scored = sorted({name for arm in arms for name in judges_of(output / ARMS / arm.folder)})
        by = f" and scored by {judge} (judges that scored some: {', '.join(scored) or 'none'})" if judge else ""
        again = "experiments.rescore" if judge else "experiments.sweep"
        sys.exit(f"{output}: no arm of this sweep is done{by}; run {again} with name={output.name}")


def checked(line: CommandLine, given: argparse.Namespace) -> list[Path]:
    """The sweeps of the worlds that were named; ends the command where what was typed makes no sense."""
    for name, typed in {"by": given.by, "paper": given.paper}.items():
        if typed and len(typed) > 1:
            line.error(
                f"--{name}: is given {len(typed)} times; name one of {', '.join(BY if name == 'by' else PAPERS)}"
            )
    baseline = given.settings.get("baseline")
    if given.by and given.paper:
        line.error("--by, --paper: are two tables; name one of them")
    if given.by and baseline:
        line.error(f"baseline={baseline}: no rows are set against another with --by; leave one of them away")
    if given.paper and baseline:
        line.error(f"baseline={baseline}: published numbers are set against none; leave it or --paper away")
    worlds = typed_sweeps("worlds", given.settings) if "worlds" in given.settings else []
    if given.by not in (None, [SOURCE]) and worlds:
        line.error(f"worlds={given.settings['worlds']}: a closer look is of one sweep; name it, or leave --by away")
    if len(worlds) == 1:
        line.error(f"worlds={worlds[0].name}: one world says nothing of others; name more, or name={worlds[0].name}")
    return worlds


def make(output: Path, given: argparse.Namespace, worlds: Sequence[Path]) -> bool:
    """Make what was asked for; False if no arm is done."""
    judge = given.settings.get("judge")
    if given.by:
        from experiments.report.closer import look_closer

        return look_closer(output, given.by[0], judge, given.all, worlds)
    from experiments.report.report import Wanted

    if given.paper:
        from experiments.paper.write import write_paper

        return write_paper(output, given.paper[0], Wanted(judge, given.all, NONE, worlds))
    from experiments.showing.show import show_sweep

    return show_sweep(output, Wanted(judge, given.all, given.settings.get("baseline"), worlds)) is not None


if __name__ == "__main__":
    main()
