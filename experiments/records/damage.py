"""Damaged records of an arm: set aside, so that the arm can be done again and the others go on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.records.arm_files import check_arm, check_scores, judges_of, places_of, read_result, scores_file
from experiments.records.files import DamagedError
from experiments.records.training_file import check_training
from safeguards.errors import SafeguardError
from safeguards.files import move_damaged


def set_aside_damaged(folder: Path, judges: Sequence[str]) -> None:
    """Set aside the whole arm if its result, its answers, or the training that it would go on from are damaged; else
    what is damaged of these judges' scores.

    Nothing is deleted, and each is reported in one line. The arm must not be in use by another process.
    """
    try:
        check_arm(folder)
        if read_result(folder) is None:
            check_training(folder)
    except SafeguardError as error:
        move_damaged(folder, str(error))
        return
    set_aside_damaged_scores(folder, judges)


def set_aside_damaged_scores(folder: Path, judges: Sequence[str]) -> None:
    """Set aside scores that are not one for each answer of an arm and its looks, or whose judge cannot be known."""
    for place in places_of(folder):
        for judge in set(judges) & set(judges_of(place)):
            try:
                check_scores(place, judge)
            except DamagedError as error:
                move_damaged(scores_file(place, judge), str(error))
