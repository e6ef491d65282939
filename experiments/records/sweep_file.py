"""The plan of a sweep on disk, `sweep.json`: tables are made from it, and every command of a name adds to it.

records   the version of the records in the folder
judge     the name of the judge that tables go by
baseline  the arm that they set the others against, if it is not "none"
claims    the primary outcome and the margins, as they were named before the first result
arms      what the last command asked for, one entry each
earlier   what others asked for before, and it did not
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from experiments.records.arm_files import ARMS, RESULT
from experiments.records.claims import Claims
from experiments.records.files import DamagedError, read_object, write_json
from experiments.records.locks import locked
from safeguards.composition import NONE
from safeguards.errors import SafeguardError
from safeguards.files import move_damaged

PLAN = "sweep.json"
# What a search leaves beside it; then its rows were chosen by these very arms.
SEARCH = "search.json"
# Of what lies in the folder of a sweep. A change that older code would misread makes it another.
RECORDS = 1
# The judge of answers that were made elsewhere.
IMPORTED = "imported"
# What every arm has, with its type.
NEEDED = {"folder": str, "safeguard": str, "seed": int, "model": dict, "task": dict, "safeguards": dict}


@dataclass(frozen=True)
class ArmEntry:
    """An arm in the plan: its folder among the sweep's arms, and all settings that decide its answers."""

    folder: str
    settings: dict[str, Any]

    def __post_init__(self) -> None:
        for key, kind in NEEDED.items():
            if not isinstance(self.as_json().get(key), kind):
                raise ValueError(f"{key} of an arm is not {kind.__name__}")
        if not all(isinstance(self.settings[key].get("name"), str) for key in ("model", "task")):
            raise ValueError("an arm has a model or task without a name")

    @property
    def safeguard(self) -> str:
        """Its name, or several joined by "+"."""
        return str(self.settings["safeguard"])

    @property
    def seed(self) -> int:
        """Of the fine-tune and of the answers."""
        return int(self.settings["seed"])

    @property
    def model(self) -> dict[str, Any]:
        """The settings of the model; its `name` is always among them."""
        return dict(self.settings["model"])

    @property
    def task(self) -> str:
        """The name of the task."""
        return str(self.settings["task"]["name"])

    def as_json(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {"folder": self.folder, **self.settings}


def by_key(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings, each under its whole key, such as `training.epochs`."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= by_key(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


@dataclass(frozen=True)
class SweepFile:
    """A plan: what tables go by, the arms of the last command, and those that only others asked for."""

    judge: str
    arms: Sequence[ArmEntry]
    earlier: Sequence[ArmEntry] = ()
    baseline: str = NONE
    claims: Claims = field(default_factory=Claims)

    def planned(self, everything: bool = False) -> list[ArmEntry]:
        """The arms of the last command; of all commands of this name, if `everything`."""
        return [*self.arms, *(self.earlier if everything else ())]


@dataclass(frozen=True)
class _OnDisk:
    judge: str
    arms: list[dict[str, Any]]
    earlier: list[dict[str, Any]] = field(default_factory=list)
    baseline: str = NONE
    claims: Claims = field(default_factory=Claims)


@dataclass(frozen=True)
class _Version:
    records: int = RECORDS  # of before it was written


def read_sweep(output: Path) -> SweepFile:
    """The plan of a sweep.

    Raises:
        SafeguardError: if there is none, or one of another version, which is left as it is.
        DamagedError: if it cannot be read.
    """
    version = (read_object(output / PLAN, _Version) or _Version()).records
    if version != RECORDS:
        raise SafeguardError(
            f"{output / PLAN}: records of version {version}, and this code reads {RECORDS}; read them by the code that "
            "made them, or take another name=…"
        )
    if (found := read_object(output / PLAN, _OnDisk)) is None:
        raise SafeguardError(no_sweep(output))
    try:
        arms, earlier = (
            [ArmEntry(arm.pop("folder", None), arm) for arm in side] for side in (found.arms, found.earlier)
        )
    except ValueError as error:
        raise DamagedError(f"{output / PLAN}: cannot be read ({error})") from error
    return SweepFile(found.judge, arms, earlier, found.baseline, found.claims)


def write_sweep(output: Path, sweep: SweepFile) -> None:
    """Write a plan, whatever is there."""
    arms, earlier = ([arm.as_json() for arm in side] for side in (sweep.arms, sweep.earlier))
    named = {} if sweep.baseline == NONE else {"baseline": sweep.baseline}
    claims = asdict(sweep.claims)
    write_json(
        output / PLAN,
        {"records": RECORDS, "judge": sweep.judge, **named, "claims": claims, "arms": arms, "earlier": earlier},
    )


def known_sweep(output: Path, judge: str) -> SweepFile | None:
    """The plan of this name; None if there is none, or a damaged one, which is then set aside.

    Raises:
        SafeguardError: if arms that were run and answers from elsewhere, which `judge` tells apart, would be one sweep.
    """
    if not (output / PLAN).is_file():
        return None
    try:
        known = read_sweep(output)
    except DamagedError as error:
        move_damaged(output / PLAN, str(error))
        return None
    if judge == IMPORTED != known.judge:
        raise SafeguardError(f"{output}: holds a sweep that was run here; give the answers another name=…")
    if known.judge == IMPORTED != judge:
        raise SafeguardError(f"{output}: holds answers that were imported; give the sweep another name=…")
    return known


def join_sweep(
    output: Path,
    judge: str,
    arms: Sequence[ArmEntry],
    baseline: str = NONE,
    claims: Claims | None = None,
    beside: bool = False,
) -> None:
    """Make these arms and this baseline those of the last command. Arms of other commands are kept beside them.

    Args:
        output: of the sweep.
        judge: that tables go by.
        arms: of this command.
        baseline: that tables set the others against.
        claims: by default, those that were named before.
        beside: those of the last command stay its arms, too.

    Raises:
        SafeguardError: as `known_sweep`, and for other claims than those that were named before results that are there.
    """
    with locked(output, PLAN):
        known = known_sweep(output, judge) or SweepFile(judge, [], claims=claims or Claims())
        earlier = known.planned(everything=True)
        claims = claims or known.claims
        has_results = any((output / ARMS / arm.folder / RESULT).is_file() for arm in earlier)
        if has_results and (other := claims.unlike(known.claims)):
            raise SafeguardError(f"{output}: {other}, which is named before them; keep it, or take another name=…")
        arms = [*arms, *(arm for arm in known.arms if arm not in arms)] if beside else arms
        mine = {arm.folder for arm in arms}
        earlier = [arm for arm in earlier if arm.folder not in mine]
        write_sweep(output, SweepFile(judge, arms, earlier, baseline, claims))


def kept_sweeps(folder: Path) -> list[str]:
    """The names of the sweeps in a folder of sweeps."""
    return sorted(path.parent.name for path in folder.glob(f"*/{PLAN}"))


def no_sweep(output: Path) -> str:
    """That none is in a folder, and which are beside it."""
    kept = ", ".join(kept_sweeps(output.parent))
    return f"{output}: no sweep there; " + (f"known: {kept}" if kept else "run experiments.sweep first")
