"""The plan of a sweep on disk, `sweep.json`: tables are made from it, and every command of a name adds to it.

judge     the name of the judge that tables go by
arms      what the last command asked for, one entry each
earlier   what others asked for before, and it did not
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.records.files import DamagedError, write_json
from experiments.records.locks import locked
from safeguards.errors import SafeguardError, one_line
from safeguards.files import move_damaged

PLAN = "sweep.json"
# What every arm has there, with its type.
ENTRY = {"folder": str, "safeguard": str, "seed": int, "model": dict, "task": dict, "safeguards": dict}


def read_sweep(output: Path) -> dict[str, Any]:
    """The plan of a sweep.

    Raises:
        SafeguardError: if there is none.
        DamagedError: if it cannot be read.
    """
    path = output / PLAN
    if not path.is_file():
        raise SafeguardError(f"{output}: no sweep there; name one that was run with name=…")
    try:
        plan = json.loads(path.read_text("utf-8"))
        found = {"judge": plan["judge"], "arms": plan["arms"], "earlier": plan.get("earlier", [])}
        _check_type(found, "judge", str)
        for arm in [*found["arms"], *found["earlier"]]:
            for key, kind in ENTRY.items():
                _check_type(arm, key, kind)
            for key in ("model", "task"):
                _check_type(arm[key], "name", str)
        return found
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DamagedError(f"{path}: cannot be read ({one_line(error)})") from error


def _check_type(values: dict[str, Any], key: str, kind: type) -> None:
    if not isinstance(values[key], kind):
        raise TypeError(f"{key} is not {kind.__name__}")


def planned_arms(output: Path, everything: bool = False) -> list[dict[str, Any]]:
    """The arms of the last command; of all commands of this name, if `everything`."""
    plan = read_sweep(output)
    return [*plan["arms"], *(plan["earlier"] if everything else [])]


def write_sweep(output: Path, judge: str, arms: Sequence[dict[str, Any]]) -> None:
    """Make these arms those of the last command. Arms of other commands are kept beside them."""
    with locked(output, PLAN):
        known: list[dict[str, Any]] = []
        if (output / PLAN).is_file():
            try:
                known = planned_arms(output, everything=True)
            except DamagedError as error:
                move_damaged(output / PLAN, str(error))
        mine = {arm["folder"] for arm in arms}
        earlier = [arm for arm in known if arm["folder"] not in mine]
        write_json(output / PLAN, {"judge": judge, "arms": list(arms), "earlier": earlier})
