"""What a finished training leaves in an arm's folder, so that the arm can go on from there without training again.

adapter/         the trained adapter, alone
training.json    what training cost and what its safeguards were seen to do, what the anchor measured, and what is
                 missing of the proof of effect; written last
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from experiments.records.arm_files import is_anchor
from experiments.records.files import DamagedError, is_number, write_json
from safeguards.errors import one_line
from safeguards.files import check_files, sync

ADAPTER, RECORD = "adapter", "training.json"


def write_training(folder: Path, record: dict[str, Any]) -> None:
    """Mark the training of an arm as done; its adapter must be there."""
    sync(folder / ADAPTER)
    write_json(folder / RECORD, record)


def read_training(folder: Path) -> dict[str, Any] | None:
    """The record of an arm's finished training; None if it has to be trained.

    Raises:
        DamagedError: if the record cannot be read, or is none.
    """
    path = folder / RECORD
    if not (path.is_file() and (folder / ADAPTER / "adapter_model.safetensors").is_file()):
        return None
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedError(f"{path}: cannot be read ({one_line(error)})") from error
    if not (isinstance(record, dict) and is_record(record)):
        raise DamagedError(f"{path}: cannot be read (not what a training leaves)")
    return record


def is_record(found: dict[str, Any]) -> bool:
    """Whether this has what `write_training` was given: `training`, `anchor` and what is `missing` of the proof."""
    training, anchor, missing = found.get("training"), found.get("anchor", ""), found.get("missing")
    cost = isinstance(training, dict) and is_number(training.get("step_seconds"))
    lacks = isinstance(missing, list) and all(isinstance(line, str) for line in missing)
    return cost and lacks and (anchor is None or (isinstance(anchor, dict) and is_anchor(anchor)))


def check_training(folder: Path) -> None:
    """Refuse a finished training of which a file is cut off.

    Raises:
        SafeguardError: naming the file.
    """
    if read_training(folder) is not None:
        check_files(folder / ADAPTER)
