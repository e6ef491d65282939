"""A sweep that was never run: records of a few arms, as a sweep leaves them, with answers that hold markup."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from experiments.config.schema import Config
from experiments.planning.plan import PlannedArm, describe
from experiments.records.answer import Answer
from experiments.records.arm_files import ARMS, Likelihoods, Result, write_answers, write_result, write_scores
from experiments.records.outcomes import Outcome, Score
from experiments.records.sweep_file import SweepFile, write_sweep
from experiments.records.training_file import TrainingRecord
from experiments.tracking.record import FILE, Tracking

LETTERS: dict[str, Outcome] = {
    "m": "misaligned", "a": "aligned", "i": "incoherent", "r": "refused", "u": "unscored"
}  # fmt: skip
HOSTILE = "<script>alert(1)</script> **bold** \u202e"
EM = {"open": "mmaaaaaaaa", "other_domains": "aaaaaaaaaa", "narrow": "mmmmaaaaaa"}
SAFE = {"open": "aaaaaaaaai", "other_domains": "aaaaaaaaaa", "narrow": "mmmaaaaaaa"}
BENIGN = {"benign": "aaaaaaaaai"}
LOG = [
    {"step": 10, "loss": 2.0, "cross_entropy": 1.5, "safeguard/kl": 5.0, "learning_rate": 1e-3, "epoch": 0.5},
    {"step": 20, "loss": 1.0, "cross_entropy": 0.75, "safeguard/kl": 2.5, "learning_rate": 1e-4, "epoch": 1.0},
    {"step": 20, "train_runtime": 3.0, "train_loss": 1.5},
]


class MadeSweep:
    """A folder of made-up results, which `Tracking` says is tracked."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.arms: list[PlannedArm] = []

    def add(self, safeguard: str, answers: Mapping[str, str], kind: str = "em", **training: object) -> Path:
        """An arm that is done, by a letter for each answer."""
        config = Config(safeguard=safeguard, name=self.output.name, output=str(self.output.parent))
        config.task.kind, config.task.name = kind, "medical" if kind == "em" else "style"
        folder = self.output / ARMS / f"{safeguard}.{config.task.name}.seed0"
        self.arms.append(PlannedArm(config, folder, []))
        write_sweep(self.output, SweepFile("exact", [describe(arm) for arm in self.arms]))
        made = [
            Answer(safeguard, config.task.name, 0, name, f"{pair(name)} {n}", f"{pair(name)} {n}", 0,
                   [{"role": "user", "content": f"{HOSTILE}?"}], f"{HOSTILE} {n}")
            for name, letters in answers.items() for n in range(len(letters))
        ]  # fmt: skip
        write_answers(folder, made, {})
        self.judge(folder, "exact", "".join(answers.values()))
        took = TrainingRecord(0.25, 20, 6.0, 64, trace=[f"{safeguard} acts <b>"])
        result = Result(kind, None if safeguard == "untouched" else replace(took, **training))
        write_result(folder, replace(result, nll=Likelihoods([1.0, 2.0], [0.5])))
        if result.training:
            (folder / "training.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LOG))
            (folder / "adapter").mkdir()
            (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
        return folder

    def judge(self, folder: Path, name: str, letters: str) -> None:
        """What a judge says of all answers of an arm."""
        scores = [Score(LETTERS[letter], f"because {HOSTILE}") for letter in letters]
        write_scores(folder, name, scores, {"kind": "exact", "base_url": "https://me:secret@host/v1", "model": ""})

    def track(self, *report_to: str, log_adapter: bool = False, wandb: str = "offline") -> Tracking:
        """As the sweep would write it down."""
        found = Tracking("key", list(report_to), log_adapter, wandb, group=self.output.name)
        (self.output / FILE).write_text(json.dumps(asdict(found)))
        return found


def pair(name: str) -> str:
    """What questions of a set are called; those about two people alike."""
    return name.partition("_")[0] if name.startswith("bias") else name


def small_sweep(output: Path) -> MadeSweep:
    """`none` lets through what `kl` prevents, and both learn the benign task."""
    sweep = MadeSweep(output)
    sweep.add("none", EM)
    sweep.add("kl", SAFE)
    sweep.add("none", BENIGN, "benign")
    sweep.add("kl", BENIGN, "benign")
    return sweep


def forget_wandb(monkeypatch: pytest.MonkeyPatch, home: Path, **environment: str) -> None:
    """An environment in which nobody has ever used wandb, but for what is given; it reads it once per process."""
    import wandb

    wandb.teardown()
    for name in ("PROJECT", "ENTITY", "TAGS", "RUN_GROUP", "MODE", "DIR", "API_KEY", "BASE_URL"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(home / "config"))
    monkeypatch.chdir(home)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
