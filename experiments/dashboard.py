"""Build the wandb workspace of a sweep and a report on it: `python -m experiments.dashboard name=demo --save`.

Without `--save` it says what it would build. With it, both are saved in the project that the runs of the sweep are in,
which takes a login (`wandb login`) and the runs (`wandb sync outputs/<name>/wandb`); saved again, they are replaced.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.config.folders import typed_folder
from experiments.records.files import read_object, write_json
from experiments.records.sweep_file import PLAN, no_sweep, read_sweep
from experiments.terminal.command_line import SWEEP, CommandLine
from experiments.terminal.ending import ending_in_one_line
from experiments.terminal.escaping import hidden, plain
from experiments.tracking.dashboard import logged_by, make_report, make_workspace, sections_of
from experiments.tracking.record import Tracking, tracking_of
from experiments.tracking.refusals import refuse_logged_out
from experiments.tracking.silent import silent_wandb
from experiments.tracking.sweep import comparison_columns
from safeguards.errors import SafeguardError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

# Where what was saved is, in the folder of the sweep.
SAVED = "dashboard.json"


def build(output: Path, save: bool) -> None:
    """Say what is built, and save it if that is asked for.

    Raises:
        SafeguardError: if the sweep is not tracked in wandb, a package is missing, or nothing can be saved.
    """
    if find_spec("wandb_workspaces") is None:
        raise SafeguardError("experiments.dashboard: wandb-workspaces is not installed; pip install '.[dashboard]'")
    tracking = tracking_of(output)
    if tracking is None or "wandb" not in tracking.trackers:
        raise SafeguardError(
            f"{output}: is not tracked in wandb; run experiments.sweep with name={output.name} report_to=[wandb]"
        )
    logged, columns, sweep = logged_by(output), comparison_columns(output), read_sweep(output)
    print(plain(f"project {tracking.project}, runs of the group {tracking.group}"))
    for name, panels in sections_of(logged).items():
        print(f"  {name}: {len(panels)} panel{'s' * (len(panels) > 1)}")
    if not save:
        print("nothing is saved without --save")
        return
    entity = entity_with_runs(tracking, output)
    known = read_object(output / SAVED, dict[str, str]) or {}
    built = {
        "workspace": make_workspace(tracking, entity, logged),
        "report": make_report(tracking, entity, logged, sweep, columns),
    }
    for what, made in built.items():
        known[what] = saved(made, known.get(what))
        write_json(output / SAVED, known)
        print(plain(f"{what}: {known[what]}"))


def entity_with_runs(tracking: Tracking, output: Path) -> str:
    """Whose project it is, once it is known that the runs are there.

    Raises:
        SafeguardError: if nobody is logged in, or the runs are not there.
    """
    refuse_logged_out("--save", "run wandb login")
    api = silent_wandb().Api()
    entity = tracking.entity or str(api.default_entity)
    path = f"{entity}/{tracking.project}"
    try:
        found = len(api.runs(path, filters={"group": tracking.group}, per_page=1))
    except Exception as error:
        raise SafeguardError(
            f"--save: {path}: {hidden(one_line(error))}; send the runs first: wandb sync {output}/wandb"
        ) from error
    if not found:
        raise SafeguardError(
            f"--save: {path} has no runs of {tracking.group}; send them first: wandb sync {output}/wandb"
        )
    return entity


def saved(made: Any, address: str | None) -> str:
    """The address of a workspace or report, once it is saved: in the place of the one that is there already.

    Raises:
        SafeguardError: if wandb refuses it.
    """
    kept: Callable[[str], Any] = type(made).from_url
    try:
        if address:
            there = kept(address)
            for name in ("sections", "runset_settings", "blocks", "title", "description"):
                if hasattr(made, name):
                    setattr(there, name, getattr(made, name))
            made = there
        made.save()
    except Exception as error:
        again = f"; remove {SAVED} of the sweep to save a new one" if address else ""
        raise SafeguardError(f"--save: {hidden(one_line(error))}{again}") from error
    return str(made.url)


@ending_in_one_line()
def main() -> None:
    """The command line."""
    line = CommandLine("dashboard", __doc__, SWEEP)
    line.add_argument("--save", action="store_true", help="save both in wandb")
    given = line.read()
    output = typed_folder(given.settings, "sweep")
    if not (output / PLAN).is_file():
        sys.exit(plain(no_sweep(output)))
    build(output, given.save)


if __name__ == "__main__":
    main()
