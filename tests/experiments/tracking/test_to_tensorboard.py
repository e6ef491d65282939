"""Arms in TensorBoard, as its own reader finds them."""

from __future__ import annotations

from pathlib import Path

import pytest
from made import HOSTILE, small_sweep
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from experiments.tracking.arm import track_arms
from experiments.tracking.content import Run
from experiments.tracking.record import Tracking
from experiments.tracking.to_tensorboard import TensorBoard


def read(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    found.Reload()
    return found


def points(found: EventAccumulator, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in found.Scalars(name)]


def text(found: EventAccumulator, name: str) -> str:
    return found.Tensors(f"{name}/text_summary")[-1].tensor_proto.string_val[0].decode()


def test_the_same_numbers_are_there_under_the_same_names(tmp_path, capfd):
    sweep = small_sweep(tmp_path / "outputs" / "demo")
    sweep.track("tensorboard")
    folders = [arm.folder for arm in sweep.arms]
    track_arms(sweep.output, folders)
    assert {path.name for path in (sweep.output / "tensorboard").iterdir()} == {path.name for path in folders}
    found = read(sweep.output / "tensorboard" / folders[1].name)
    assert points(found, "broad_misaligned") == [(20, 0.0)]
    assert points(found, "narrow_learnt") == [(20, pytest.approx(0.3))]
    assert points(found, "outcomes/open/refused") == [(20, 0.0)]
    assert "broad_misaligned" not in read(sweep.output / "tensorboard" / folders[2].name).Tags()["scalars"]
    assert "kl acts" in text(found, "trace")
    assert "safeguards.kl.weight" in text(found, "settings")
    assert "<script>" not in text(found, "samples").replace("\\<script\\>", "")
    assert HOSTILE.split(">")[0].strip("<") in text(found, "samples")
    assert capfd.readouterr() == ("", "")


def test_another_judge_takes_the_place_of_what_was_there(tmp_path):
    sweep = small_sweep(tmp_path / "outputs" / "demo")
    sweep.track("tensorboard")
    kl = sweep.arms[1].folder
    track_arms(sweep.output, [kl])
    sweep.judge(kl, "exact", "m" * 30)
    track_arms(sweep.output, [kl])
    assert points(read(sweep.output / "tensorboard" / kl.name), "broad_misaligned") == [(20, 1.0)]


def test_what_an_earlier_try_drew_is_not_shown_twice(tmp_path):
    run = Run("id", "kl", "arm", tmp_path, "kl.medical")
    for losses in ({10: 3.0, 20: 2.0}, {10: 1.0}):
        board = TensorBoard(Tracking("key", ["tensorboard"], False, "offline"), run)
        for step, loss in losses.items():
            board.curve(step, {"train/loss": loss})
        board.close(failed=True)
    assert points(read(tmp_path / "tensorboard" / "kl.medical"), "train/loss") == [(10, 1.0)]
