"""Do safeguards rank elsewhere as here? `python -m experiments.validity "organism one=one" "organism two=w1000,w1001"`.

Sets published tables beside sweeps that are done: what each safeguard prevents, and how alike any two columns rank
them, world by world, in the mean over worlds, and with each safeguard left out in turn. A column is a name and one or
more sweeps, each of which is a world: the organism's with another `model.world`, or another model; a sweep may also
have several worlds. Where no judge scored answers, choices say it. Prints tables, and writes `validity.md` and three
files of CSV to `outputs/<name>/`.
"""

from __future__ import annotations

from pathlib import Path

from experiments.config.folders import typed_folder, typed_sweeps
from experiments.terminal.command_line import SWEEP, CommandLine
from experiments.terminal.ending import ending_in_one_line
from safeguards.errors import SafeguardError

EXPLAINED = {
    "name": "of the folder to write to; default: validity",
    "output": SWEEP["output"],
    "judge": "go by this one, as tables call it; default: each sweep by its own",
}


@ending_in_one_line()
def main() -> None:
    """The command line."""
    line = CommandLine("validity", __doc__, EXPLAINED, named=("COLUMN", "its sweeps, with commas: one for each world"))
    line.add_argument("--all", action="store_true", help="also what only earlier commands of a sweep asked for")
    typed = line.read()
    given = typed.settings
    folder = typed_folder(given, "validity")
    columns = {name: typed_sweeps(checked(name, given), given) for name in given if name not in EXPLAINED}
    if not columns:
        line.error('COLUMN=…: name a column and its sweeps, such as "organism two=w1000,w1001"')
    refuse_twice(columns)
    from experiments.report.validity import write_validity

    write_validity(folder, columns, given.get("judge"), typed.all)


def checked(column: str, given: dict[str, str]) -> str:
    """The name of a column.

    Raises:
        SafeguardError: if it has none.
    """
    if not column.strip() or not column.isprintable():
        raise SafeguardError(f"{column}={given[column]}: has no name before the =; write COLUMN={given[column]}")
    return column


def refuse_twice(columns: dict[str, list[Path]]) -> None:
    """Refuse a sweep that stands in two columns: it would agree with itself.

    Raises:
        SafeguardError: naming it.
    """
    seen: dict[Path, str] = {}
    for column, folders in columns.items():
        for folder in folders:
            if (place := folder.resolve()) in seen:
                raise SafeguardError(
                    f"{seen[place]} and {column}: {folder.name} is named twice; each sweep is one world"
                )
            seen[place] = column


if __name__ == "__main__":
    main()
