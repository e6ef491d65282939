"""A training that is finished is not lost, and not done again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.config.schema import TaskConfig
from experiments.organism.world import load_world
from experiments.records.training_file import read_training
from experiments.sweep import sweep
from experiments.tasks import load_task
from experiments.training.trained import demand_proof
from safeguards import NoEffectError, SafeguardError

QUICK = [
    *("seed=0", "wandb=disabled", "task=medical", "probes.sets=[open]", "probes.samples=1", "training.epochs=0.1"),
    "curve.looks=0",
]
# Holding the prefix with so little weight moves no gradient noticeably.
FAINT = ["safeguard=treft", "safeguards.treft.weight=1e-30"]
# In so few steps its usual weight moves none, either.
HEAVY = ["safeguard=kl", "safeguards.kl.weight=10"]


@pytest.fixture
def arm(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda name: next(Path("outputs/sweep/arms").glob(f"{name}.*"))


def test_a_missing_proof_loses_no_training_and_its_key_accepts_it(arm, capsys):
    assert sweep([*QUICK, *FAINT]) == 1
    told = capsys.readouterr().err
    assert "treft: its loss term 'treft' never had a gradient" in told
    assert "(training.proof=warn accepts it, and goes on from the trained adapter)" in told
    assert 'proof="warn"' not in told
    log = arm("treft") / "training.jsonl"
    before = log.stat().st_mtime_ns
    assert not (arm("treft") / "result.json").exists()

    assert sweep([*QUICK, *FAINT, "training.proof=warn"]) == 0
    assert "3 arms, 2 of them done already" in (told := capsys.readouterr().out)
    assert "never had a gradient worth 0.0001 of the cross-entropy's (accepted by training.proof=warn)" in told
    assert log.stat().st_mtime_ns == before
    result = json.loads((arm("treft") / "result.json").read_text())
    assert any("never had a gradient" in line for line in result["training"]["trace"])


def test_an_arm_that_was_interrupted_after_training_answers_as_if_it_had_not_been(arm):
    assert sweep([*QUICK, *HEAVY]) == 0
    folder = arm("kl")
    log, answers, result = (folder / name for name in ("training.jsonl", "answers.jsonl", "result.json"))
    before, said, known = log.stat().st_mtime_ns, answers.read_bytes(), json.loads(result.read_text())
    held_out = load_task(TaskConfig(group="medical"), 0, load_world()).held_out
    assert len(known["nll"]["task"]) == len(held_out), "of these rows, and not of those that are trained on"
    for path in (answers, result, *folder.glob("scores.*")):
        path.unlink()
    assert sweep([*QUICK, *HEAVY]) == 0
    assert log.stat().st_mtime_ns == before
    assert answers.read_bytes() == said
    again = json.loads(result.read_text())
    assert again["nll"] == known["nll"]
    assert again["training"] == known["training"]


def test_a_record_without_an_adapter_is_no_training(tmp_path):
    (tmp_path / "training.json").write_text("{}")
    assert read_training(tmp_path) is None


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_model.safetensors").write_bytes(b"")
    (tmp_path / "training.json").write_text("{")
    with pytest.raises(SafeguardError, match=r"training.json: cannot be read"):
        read_training(tmp_path)


def test_a_missing_proof_is_an_error_a_warning_or_accepted(capsys):
    with pytest.raises(NoEffectError, match=r"kl: nothing .training.proof=warn accepts it"):
        demand_proof(["kl: nothing"], "error")
    assert not capsys.readouterr().out
    demand_proof(["kl: nothing"], "warn")
    assert "warning: kl: nothing (accepted by training.proof=warn)" in capsys.readouterr().out
    demand_proof(["kl: nothing"], "off")
    demand_proof([], "error")
    assert not capsys.readouterr().out
