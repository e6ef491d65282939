"""How a sweep stands while it runs, by its files alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import stat_result
from pathlib import Path

from experiments.records.arm_files import ANSWERS, ARMS, ERROR, LOOKS, RESULT, judges_of, read_result, scores_file
from experiments.records.files import DamagedError
from experiments.records.sweep_file import PLAN, ArmEntry, read_sweep
from experiments.records.training_file import RECORD
from experiments.report.labels import label_arms
from experiments.report.world_draws import as_one_model
from safeguards.files import digest

LOG = "training.jsonl"
# An arm runs that is not done and whose files have changed in so many seconds; a step of a large model takes long.
RECENT = 900.0
# Of arms that run at once, this many are named; of what an error says, so many letters.
MOST, LETTERS = 3, 400


@dataclass(frozen=True)
class SweepState:
    """How a sweep stands.

    Args:
        name: of the sweep.
        judge: that its tables go by.
        done, planned: arms.
        running: a few words on each arm that runs.
        failures: a line for each arm that stopped, and each record that cannot be read.
        models: that are compared.
        changed: when a record changed last, in seconds since 1970.
        records: tells these records from others.
    """

    name: str
    judge: str = ""
    done: int = 0
    planned: int = 0
    running: Sequence[str] = ()
    failures: Sequence[str] = ()
    models: Sequence[str] = ()
    changed: float = 0.0
    records: str = ""

    @property
    def line(self) -> str:
        """In a sentence."""
        if not self.planned:
            return "No arm is planned." if not self.failures else "The plan of the sweep cannot be read."
        told = f"{self.done} of {self.planned} arms done"
        if self.running:
            more = len(self.running) - MOST
            return f"{told}; now: {'; '.join(self.running[:MOST])}" + f"; {more} more" * (more > 0)
        return told if self.done == self.planned else f"{told}; none runs now"


def read_state(output: Path) -> SweepState:
    """How the sweep in a folder stands; what cannot be read is one of its failures."""
    try:
        sweep = read_sweep(output)
    except DamagedError as error:
        return SweepState(output.name, failures=[str(error)])
    arms = sweep.planned()
    done, running, failures = [], [], []
    split = as_one_model(arms)
    labels = label_arms([entry for entry, _ in split])
    for (entry, world), label in zip(split, labels, strict=True):
        folder, name = output / ARMS / entry.folder, f"{label} {entry.task} seed {entry.seed}"
        name += f" world {world}" * bool(world)
        try:
            if read_result(folder) is not None and scores_file(folder, sweep.judge).is_file():
                done.append(folder)
            elif (stopped := folder / ERROR).is_file():
                failures.append(f"{name}: {stopped.read_text('utf-8', 'replace').strip()[:LETTERS]}")
            elif folder.is_dir() and time.time() - newest(folder) < RECENT:
                running.append(f"{name}, {phase(folder, entry)}")
        except (DamagedError, OSError) as error:
            failures.append(f"{name}: {error}")
    records = [output / PLAN, *(path for folder in done for path in records_of(folder))]
    found = [(str(path), state.st_mtime_ns, state.st_size) for path in records if (state := known(path))]
    changed = max((time_ns for _, time_ns, _ in found), default=0) / 1e9
    models = list(dict.fromkeys(str(entry.model["name"]) for entry in arms))
    return SweepState(
        output.name, sweep.judge, len(done), len(arms), running, failures, models, changed, digest(json.dumps(found))
    )


def records_of(folder: Path) -> Iterator[Path]:
    """The files of an arm from which a page is made, as far as they are there."""
    for place in (folder, *sorted(folder.glob(f"{LOOKS}/*"))):
        yield from (place / RESULT, place / ANSWERS, *(scores_file(place, judge) for judge in judges_of(place)))


def phase(folder: Path, entry: ArmEntry) -> str:
    """What an arm does that runs."""
    if (folder / RESULT).is_file():
        return "being judged"
    if (folder / RECORD).is_file():
        return "answering"
    if not (last := last_step(folder / LOG)):
        return "starting"
    told = f"step {last['step']}"
    epoch, epochs = last.get("epoch"), entry.settings.get("training", {}).get("epochs")
    if isinstance(epoch, float) and isinstance(epochs, int | float) and epoch > 0:
        told += f" of {round(last['step'] / epoch * epochs)}"
    loss = last.get("loss")
    return told + (f", loss {loss:.3f}" if isinstance(loss, float) else "")


def last_step(log: Path) -> dict[str, float]:
    """The last line of a training log that names a step; nothing if there is none yet."""
    try:
        lines = log.read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        try:
            found = json.loads(line)
        except ValueError:  # it is being written
            continue
        if isinstance(found, dict) and isinstance(found.get("step"), int):
            return found
    return {}


def newest(folder: Path) -> float:
    """When something in a folder changed last, in seconds since 1970."""
    return max((state.st_mtime for path in (folder, *folder.iterdir()) if (state := known(path))), default=0.0)


def known(path: Path) -> stat_result | None:
    """What the system knows of a file; None if it is not there, or not any more."""
    try:
        return path.stat()
    except OSError:
        return None
