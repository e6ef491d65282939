"""How far an arm has got, by what is on disk."""

from __future__ import annotations

from pathlib import Path

from experiments.planning.plan import PlannedArm
from experiments.records.arm_files import ERROR, check_arm, check_scores, judges_of, places_of, read_result
from experiments.records.files import DamagedError
from experiments.records.names import UNTOUCHED
from experiments.records.training_file import read_training


def arm_error(folder: Path) -> str:
    """The first line of why an arm is not done."""
    path = folder / ERROR
    return path.read_text("utf-8").splitlines()[0] if path.is_file() else "did not finish; run the sweep again"


def is_done(arm: PlannedArm) -> bool:
    """Whether its answers are there and every judge has scored them, and nothing of it is damaged."""
    try:
        if read_result(arm.folder) is None:
            return False
        check_arm(arm.folder)
        for place in places_of(arm.folder):
            judged = judges_of(place)
            if any(judge.name not in judged for judge in arm.config.judges):
                return False
            for judge in arm.config.judges:
                check_scores(place, judge.name)
    except DamagedError:
        return False
    return True


def is_trained(arm: PlannedArm) -> bool:
    """Whether an arm that is not done has been fine-tuned, or needs not be."""
    try:
        return misses_only_scores(arm) or arm.config.safeguard == UNTOUCHED or read_training(arm.folder) is not None
    except DamagedError:
        return False


def misses_only_scores(arm: PlannedArm) -> bool:
    """Whether an arm that is not done has its answers already."""
    try:
        return read_result(arm.folder) is not None
    except DamagedError:
        return False
