"""A sweep that is killed in training and in answering, as a user types it, ends as one that nobody killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from kill import contents

from experiments.records.drawn_file import Drawn
from experiments.sweep import sweep

COMMAND = [
    "safeguard=kl", "task=medical", "seed=0", "wandb=disabled", "curve.looks=0", "probes.sets=[open]",
    "probes.samples=1", "probes.batch_size=8", "training.epochs=0.2", "training.proof=warn",
]  # fmt: skip
# Run the command, and have the system do something to the process at a certain moment of the arm `kl`.
RUN = """
import os, runpy, signal, sys
{patch}
sys.argv = ["experiments.sweep", *sys.argv[1:]]
runpy.run_module("experiments.sweep", run_name="__main__")
"""
IN_TRAINING = """
from experiments.training.fine_tune import FineTune, Watch
def on_step_begin(self, args, state, control, **_):
    before(self, args, state, control)
    if "kl" in self.label and state.global_step == state.max_steps - {left}:
        os.kill(os.getpid(), signal.{signal})
before, Watch.on_step_begin = Watch.on_step_begin, on_step_begin
"""
IN_ANSWERING = """
from experiments.records.drawn_file import Drawn
def keep(self, batch):
    before(self, batch)
    if "kl" in self.path.parent.name and len(self.path.read_bytes().splitlines()) == 3:
        self.path.open("ab").write(b'{{"texts": ["cut o')
        os.kill(os.getpid(), signal.{signal})
before, Drawn.keep = Drawn.keep, keep
"""


def stopped(folder: Path, patch: str, every: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, "-c", RUN.format(patch=patch), *COMMAND, every],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def records(folder: Path) -> dict[str, object]:
    """All of a sweep but the times, how it was run, and what PEFT writes in no order."""
    apart = ("config.yaml", "adapter_config.json", ".csv", ".tex", "comparison.json")
    return {name: value for name, value in contents(folder).items() if not name.endswith(apart)}


def test_an_arm_that_is_told_to_stop_and_killed_in_training_and_in_answering_ends_alike(tmp_path, monkeypatch):
    whole, part = tmp_path / "whole", tmp_path / "part"
    for folder in (whole, part):
        folder.mkdir()
    monkeypatch.chdir(whole)
    assert sweep(COMMAND) == 0
    (arm,) = (part / path.relative_to(whole) for path in whole.glob("outputs/sweep/arms/kl.*"))
    steps = json.loads((whole / arm.relative_to(part) / "result.json").read_text())["training"]["steps"]
    every = f"training.checkpoint_steps={steps - 2}"

    told = stopped(part, IN_TRAINING.format(left=4, signal="SIGTERM"), every)
    assert told.returncode == 75, "start me again"
    assert told.stderr.strip().splitlines()[-1].startswith("terminated: what is done is kept")
    assert [path.name for path in arm.glob("checkpoint-*")] == [f"checkpoint-{steps - 3}"]

    killed = stopped(part, IN_TRAINING.format(left=1, signal="SIGKILL"), every)
    assert killed.returncode == -signal.SIGKILL
    assert f"continues from step {steps - 3} of {steps} (checkpoint-{steps - 3})" in killed.stdout
    assert [path.name for path in arm.glob("checkpoint-*")] == [f"checkpoint-{steps - 2}"]

    killed = stopped(part, IN_ANSWERING.format(signal="SIGKILL"), every)
    assert killed.returncode == -signal.SIGKILL
    assert f"continues from step {steps - 2} of {steps}" in killed.stdout
    assert not list(arm.glob("checkpoint-*"))
    assert (arm / "drawn.jsonl").read_bytes().count(b"\n") == 3

    monkeypatch.chdir(part)
    drawn: list[int] = []
    keep = Drawn.keep
    monkeypatch.setattr(Drawn, "keep", lambda self, batch: (drawn.append(len(batch.texts)), keep(self, batch)))
    assert sweep([*COMMAND, every]) == 0
    answers = (arm / "answers.jsonl").read_bytes().count(b"\n")
    assert sum(drawn) == answers - 2 * 8, "two batches are not drawn again"
    assert records(part) == records(whole)
