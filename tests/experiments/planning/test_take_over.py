"""The baseline of a sweep: what is meant by it, and arms of another sweep that are not run again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from experiments.config.schema import Config
from experiments.planning.baseline import Baseline, check_baseline, read_baseline, take_over
from experiments.planning.identity import arm_folder
from experiments.planning.plan import PlannedArm, describe
from experiments.records.arm_files import Result, look_folder, read_result, write_answers, write_result
from experiments.records.sweep_file import SweepFile, write_sweep
from safeguards import SafeguardError


def planned(output: Path, name: str, safeguard: str = "none", seed: int = 0) -> PlannedArm:
    config = Config(safeguard=safeguard, seed=seed, name=name, output=str(output))
    return PlannedArm(config, arm_folder(config), [])


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("none", Baseline("none")),
        ("kl+interleave", Baseline("interleave+kl")),
        ("demo", Baseline("none", "demo")),
        ("demo:kl", Baseline("kl", "demo")),
        ("kl:untouched", Baseline("untouched", "kl")),
    ],
)
def test_a_baseline_is_a_safeguard_or_a_sweep_or_both(typed, meant):
    assert read_baseline(typed) == meant


def test_a_baseline_makes_no_other_arm(tmp_path):
    arm = planned(tmp_path, "one")
    assert arm_folder(replace(arm.config, baseline="demo")) == arm.folder


def test_a_baseline_that_the_sweep_has_not_is_refused(tmp_path):
    arms = [planned(tmp_path, "one"), planned(tmp_path, "one", "kl")]
    with pytest.raises(SafeguardError, match="not among the safeguards of this sweep; known: none, kl"):
        check_baseline(Baseline("ldifs"), arms, "ldifs")
    check_baseline(Baseline("kl"), arms, "kl")


def test_arms_that_another_sweep_has_run_are_taken_over_and_no_others(tmp_path):
    ran = planned(tmp_path, "ran")
    for look in (look_folder(ran.folder, step) for step in (2, 5)):
        write_answers(look, [], {})
        write_result(look, Result("em", weights="w"))
    write_answers(ran.folder, [], {})
    write_result(ran.folder, Result("em", looks=[5]))
    for name in ("drawn.jsonl", "drawn.sqlite"):  # a process that ended in between has left them
        (ran.folder / name).touch()
    write_sweep(tmp_path / "ran", SweepFile("exact", [describe(ran)]))
    arms = [planned(tmp_path, "mine", seed=seed) for seed in (0, 1)]
    assert take_over(Baseline("none", "ran"), arms, tmp_path / "mine") == arms[:1]
    assert read_result(arms[0].folder) == read_result(ran.folder)
    assert read_result(look_folder(arms[0].folder, 5)) == read_result(look_folder(ran.folder, 5))
    assert not look_folder(arms[0].folder, 2).exists(), "one of a training that was not finished"
    assert not list(arms[0].folder.glob("drawn.*"))
    assert take_over(Baseline("none", "ran"), arms, tmp_path / "mine") == [], "it is there"
    with pytest.raises(
        SafeguardError, match="has no arm of none with this model, task, training, seed, questions and looks"
    ):
        take_over(Baseline("none", "ran"), arms[1:], tmp_path / "mine")
    with pytest.raises(SafeguardError, match=r"baseline=rna: no safeguard, and no sweep in .*; sweeps: ran"):
        take_over(Baseline("none", "rna"), arms, tmp_path / "mine")
