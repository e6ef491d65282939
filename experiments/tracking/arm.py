"""An arm in the trackers: while it trains, once it is scored, and when another judge has scored it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.config.folders import output_folder
from experiments.config.schema import Config
from experiments.records.arm_files import ARMS, judges_of, read_judge
from experiments.records.files import is_number
from experiments.records.human_labels import is_labels
from experiments.records.sweep_file import ArmEntry, SweepFile, read_sweep
from experiments.records.training_file import ADAPTER
from experiments.report.arms import Arm, read_arm
from experiments.report.world_draws import as_one_model
from experiments.terminal.escaping import hidden, plain
from experiments.terminal.printing import progress
from experiments.tracking.content import ARM, Content, Run, curve_numbers
from experiments.tracking.guarded import Guarded
from experiments.tracking.numbers import judged_numbers, measured_numbers, outcome_shares
from experiments.tracking.record import Tracking, settle, tracking_of
from experiments.tracking.samples import draw_samples
from safeguards.composition import registry
from safeguards.errors import SafeguardError

if TYPE_CHECKING:
    import pandas as pd

LOG = "training.jsonl"
SAMPLES, TRACE = "samples", "trace"


@contextmanager
def tracking_arm(config: Config, folder: Path) -> Iterator[Guarded]:
    """Have an arm tracked: yields what its curves go to; at the end sends what its records have."""
    output = output_folder(config)
    trackers, failed = Guarded(folder.name, lambda: begun(settle(config), output, folder)), True
    try:
        yield trackers
        trackers.send(partial(arm_content, output, folder, config.log_adapter))
        failed = False
    finally:
        trackers.close(failed)


def track_arms(output: Path, folders: Sequence[Path]) -> None:
    """Update the runs of arms that are done, with what their records say now, where their sweep is tracked.

    What stands in the way is said in one line: the records are what counts.
    """
    try:
        tracking = tracking_of(output)
    except SafeguardError as error:
        print(plain(f"not tracked: {error}"), flush=True)
        return
    if tracking is None:
        return
    for folder in progress(folders, "track arms"):
        trackers = Guarded(folder.name, partial(begun, tracking, output, folder))
        trackers.send(partial(arm_content, output, folder, tracking.log_adapter))
        trackers.close(failed=False)


def begun(tracking: Tracking, output: Path, folder: Path) -> tuple[Tracking, Run] | None:
    """Where the arm in a folder is tracked, and its run; None if it is not tracked.

    Raises:
        SafeguardError: if the sweep does not know it.
    """
    if not tracking.trackers:
        return None
    sweep = read_sweep(output)
    entry = entry_of(sweep, folder)
    worlds = {one.folder: world for one, world in as_one_model(sweep.planned(everything=True)) if world}
    name = f"{label_of(entry)} {entry.task} seed {entry.seed}" + f" world {worlds.get(folder.name)}" * (
        folder.name in worlds
    )
    settings = settings_of(sweep, entry, output)
    return tracking, Run(tracking.run_id(folder.name), name, ARM, output, folder.name, settings)


def entry_of(sweep: SweepFile, folder: Path) -> ArmEntry:
    """The arm in a folder, as the plan has it.

    Raises:
        SafeguardError: if the plan does not have it.
    """
    for entry in sweep.planned(everything=True):
        if entry.folder == folder.name:
            return entry
    raise SafeguardError(f"{folder}: is no arm of its sweep; run experiments.sweep again")


def label_of(entry: ArmEntry) -> str:
    """The safeguards of an arm, each with its dose."""
    words = []
    for name in entry.safeguard.split("+"):
        dose = getattr(registry().get(name), "dose", None)
        value = entry.settings["safeguards"].get(name, {}).get(dose)
        words.append(f"{name} {value:g}" if is_number(value) else name)
    return "+".join(words)


def settings_of(sweep: SweepFile, entry: ArmEntry, output: Path) -> dict[str, Any]:
    """The settings in use of an arm: those that decide its answers, with the sweep and the judges that scored it."""
    folder = output / ARMS / entry.folder
    judges = {name: read_judge(folder, name) or {} for name in judges_of(folder)}
    found = {**entry.settings, "label": label_of(entry), "sweep": output.name, "judge": sweep.judge, "judges": judges}
    return in_use(found)


def in_use(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What is set, without users and passwords in addresses."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        kept = in_use(value) if isinstance(value, Mapping) else without_password(value)
        if kept not in (None, "", [], {}):
            found[name] = kept
    return found


def without_password(value: Any) -> Any:
    """A setting that is no group of settings."""
    if isinstance(value, list):
        return [without_password(item) for item in value]
    return hidden(value) if isinstance(value, str) else value


def arm_content(output: Path, folder: Path, log_adapter: bool) -> Content:
    """What the records of an arm have to send.

    Raises:
        DamagedError: if they cannot be read.
    """
    sweep = read_sweep(output)
    entry = entry_of(sweep, folder)
    # People label a few answers, of which no rate can be said.
    judges = [name for name in judges_of(folder) if not is_labels(read_judge(folder, name))]
    by_judge = {name: arm for name in judges if (arm := read_arm(folder, entry, name))}
    if not by_judge:
        return Content()
    any_arm = next(iter(by_judge.values()))
    training = any_arm.result.training
    adapter = folder / ADAPTER
    return Content(
        settings=settings_of(sweep, entry, output),
        numbers=numbers_of(by_judge, sweep.judge) | curve_ends(folder),
        tables=tables_of(folder, any_arm, sweep.judge if sweep.judge in by_judge else next(iter(by_judge))),
        adapter=adapter if log_adapter and adapter.is_dir() else None,
        step=training.steps if training else 0,
    )


def tables_of(folder: Path, arm: Arm, judge: str) -> dict[str, pd.DataFrame]:
    """What of an arm is to be read: some answers, and what its safeguards were seen to do."""
    import pandas as pd

    trace = arm.result.training.trace if arm.result.training else []
    found = {SAMPLES: draw_samples(folder, judge)}
    return found | ({TRACE: pd.DataFrame({"seen": trace})} if trace else {})


def numbers_of(by_judge: Mapping[str, Arm], judge: str) -> dict[str, float]:
    """All numbers of an arm: by the judge that tables go by under their own names, by others under that judge's."""
    found = measured_numbers(next(iter(by_judge.values())))
    for name, arm in by_judge.items():
        said = judged_numbers(arm)
        found |= (
            said | outcome_shares(arm.table) if name == judge else {f"judges/{name}/{k}": v for k, v in said.items()}
        )
    return found


def curve_ends(folder: Path) -> dict[str, float]:
    """The last point of the curves, which stands for them in tables of runs."""
    path = folder / LOG
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    for line in reversed(lines):
        with suppress(ValueError):  # it may be written at this moment
            if "loss" in (log := json.loads(line)):
                return curve_numbers(log)
    return {}
