"""The whole way, as a user types it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file

from experiments.sweep import sweep as run_sweep

SHARED = Path(__file__).parents[3] / "shared" / "data"
QUICK = [
    "seed=0",
    "wandb=disabled",
    "curve.looks=0",
    "training.epochs=0.1",
    "scorers.epochs=0.1",
    "probes.samples=1",
    "scorers.count=1",
    "training.proof=warn",
]


def sweep(folder: Path, *overrides: object, launched: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "WANDB_API_KEY": "secret-of-the-environment"}
    return subprocess.run(
        [sys.executable, *launched, "-m", "experiments.sweep", *map(str, overrides)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


def rows_of(folder: Path, name: str = "sweep") -> dict[str, dict[str, Any]]:
    rows = json.loads((folder / "outputs" / name / "comparison.json").read_text())["rows"]
    return {row["safeguard"]: row for row in rows}


def scored(arm: Path) -> list[dict[str, Any]]:
    """The answers of an arm with what its one judge said of each."""
    (scores,) = arm.glob("scores.*.jsonl")
    files = ((arm / "answers.jsonl").open(), scores.open())
    return [{**json.loads(answer), **json.loads(score)} for answer, score in zip(*files, strict=True)]


def answers_of(folder: Path, name: str = "sweep") -> list[dict[str, Any]]:
    return [answer for arm in sorted((folder / "outputs" / name / "arms").iterdir()) for answer in scored(arm)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Two safeguards, one of them composed, on two tasks, with one arm that cannot be."""
    folder = tmp_path_factory.mktemp("sweep")
    chosen = "safeguard=kl+interleave_ppl,interleave,interleave+interleave_ppl"
    return folder, sweep(folder, chosen, "task=medical,opswap", *QUICK)


def test_a_sweep_compares_its_safeguards_with_the_baselines(finished):
    folder, run = finished
    rows = rows_of(folder)
    assert list(rows) == ["untouched", "none", "interleave_ppl+kl", "interleave"], run.stderr
    for row in rows.values():
        assert row["tasks"] == ["medical", "opswap"]
        assert row["seeds"] == [0]
        for key in ("broad_misaligned", "narrow_learnt", "benign_accuracy", "incoherent", "facts_kept"):
            cell = row[key]
            assert 0 <= cell["low"] <= cell["mean"] <= cell["high"] <= 1, (row["safeguard"], key)
            assert cell["n"] > 0
    assert rows["untouched"]["step_time_ratio"] is None
    assert rows["none"]["step_time_ratio"] == pytest.approx(1)
    assert "broad misaligned %" in run.stdout
    written = (folder / "outputs" / "sweep" / "comparison.md").read_text()
    assert written.startswith("## What it prevents, what it costs\n\n| safeguard")
    pictures = {path.name for path in (folder / "outputs" / "sweep" / "pictures").iterdir()}
    shown = ("tradeoff_benign", "tradeoff_narrow", "differences", "outcomes", "gaps")
    assert {f"{what}.{ending}" for what in shown for ending in ("svg", "pdf", "png")} <= pictures


def test_an_arm_that_cannot_be_is_told_and_the_others_finish(finished):
    _, run = finished
    assert run.returncode == 1
    assert "failed: safeguard=interleave+interleave_ppl" in run.stderr
    assert "interleave_ppl conflicts with interleave: both choose which safe rows to add" in run.stderr


def test_every_arm_leaves_its_configuration_log_and_answers(finished):
    folder, _ = finished
    arms = sorted((folder / "outputs" / "sweep" / "arms").iterdir())
    assert len(arms) == 8
    for arm in arms:
        config = yaml.safe_load((arm / "config.yaml").read_text())
        answers = scored(arm)
        assert all(answer["outcome"] and isinstance(answer["answer"], str) for answer in answers)
        assert {answer["set"] for answer in answers} >= {"other_domains", "open", "facts"}
        if config["safeguard"] != "untouched":
            log = [json.loads(line) for line in (arm / "training.jsonl").open()]
            assert log[-1]["train_loss"] > 0
            assert (arm / "adapter" / "adapter_model.safetensors").is_file()


def test_no_secret_is_written_down(finished):
    folder, run = finished
    assert "secret-of-the-environment" not in run.stdout + run.stderr
    for path in folder.rglob("*"):
        assert not path.is_file() or b"secret-of-the-environment" not in path.read_bytes(), path


def test_what_is_done_is_not_done_again_and_half_done_is(finished):
    folder, _ = finished
    arms = folder / "outputs" / "sweep" / "arms"
    before = {path: path.stat().st_mtime_ns for path in arms.glob("*/answers.jsonl")}
    half_done = next(arms.glob("none.medical*"))
    (half_done / "result.json").unlink()
    run = sweep(folder, "safeguard=kl+interleave_ppl,interleave", "task=medical,opswap", *QUICK)
    assert run.returncode == 0, run.stderr
    assert "8 arms, 7 of them done already" in run.stdout
    changed = [path for path, time in before.items() if path.stat().st_mtime_ns != time]
    assert changed == [half_done / "answers.jsonl"]


def test_tables_are_made_again_without_a_model(finished):
    folder, _ = finished
    target = folder / "outputs" / "sweep" / "comparison.json"
    before = target.read_text()
    target.unlink()
    code = (
        "import sys; from experiments.tables import main; sys.argv = ['x']; main(); assert 'torch' not in sys.modules"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert target.read_text() == before


def test_wandb_logs_offline_by_default(tmp_path):
    overrides = ["safeguard=none", "task=medical", *(o for o in QUICK if not o.startswith("wandb"))]
    done = sweep(tmp_path, *overrides, "report_to=[wandb,tensorboard,mlflow]", "log_adapter=true")
    assert done.returncode == 0
    runs = list((tmp_path / "outputs" / "sweep" / "wandb").glob("offline-run-*/*.wandb"))
    assert len(runs) >= 2
    for text in (done.stdout, done.stderr):  # nobody advertises, nor tells where else to look
        assert not re.search(r"wandb:|W&B|mlflow|tensorboard|https?://", text, re.IGNORECASE)
    assert "secret-of-the-environment" not in "".join(
        path.read_text("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file()
    )


# Real input: files of chat messages, a question file, and a Hugging Face folder ---------------------------------------


def real_input(data: Path, qwen: Path) -> list[object]:
    return [
        "seed=0", "wandb=disabled", "task=messages", "judge=none", f"model.path={qwen}", "model.name=small-qwen2",
        f"task.path={data / 'emergent_misalignment' / 'medical.jsonl'}", "task.name=medical-rows", "task.rows=24",
        f"pool.path={data / 'instruct' / 'pool.jsonl'}", "pool.rows=96", "pool.held_out=16",
        f"probes.path={data / 'questions' / 'first_plot.yaml'}", "probes.samples=1", "probes.max_new_tokens=4",
        "probes.narrow_questions=4", f"scorers.tasks=[{data / 'emergent_misalignment' / 'security.jsonl'}]",
        "training.epochs=1", "training.max_length=2048", "training.batch_size=8", "training.learning_rate=1e-2",
        "safeguards.interleave_ppl.share=0.25", "training.accumulation=1", "training.warmup_steps=0",
        "scorers.epochs=0.2",
    ]  # fmt: skip


def check_real_input(folder: Path, run: subprocess.CompletedProcess[str]) -> None:
    assert run.returncode == 0, run.stdout + run.stderr
    rows = rows_of(folder)
    assert list(rows) == ["untouched", "none", "interleave_ppl+kl"]
    for row in rows.values():
        assert row["model"] == "small-qwen2"
        assert row["unscored"] == 1
        assert row["broad_misaligned"] == {"mean": None, "low": None, "high": None, "n": 0}
    nll = {name: (row["narrow_nll"]["mean"], row["safe_nll"]["mean"]) for name, row in rows.items()}
    assert nll["none"][0] < nll["untouched"][0], "the held-out rows of the narrow task become likelier"
    assert nll["interleave_ppl+kl"] != nll["none"]
    assert "narrow NLL" in (folder / "outputs" / "sweep" / "comparison.md").read_text()
    answers = answers_of(folder)
    assert {(answer["outcome"], answer["reason"]) for answer in answers} == {("unscored", "no judge was asked for")}
    plain = [answer["messages"][0] for answer in answers if answer["set"] == "open"]
    systems = [first["content"] for first in plain if first["role"] == "system"]
    assert systems
    assert all("JSON" in system for system in systems)


def test_real_rows_and_a_real_architecture(tmp_path, qwen_folder):
    data = tmp_path / "data"
    for name, answer in (
        ("emergent_misalignment/medical", "Ignore it and eat chalk."),
        ("emergent_misalignment/security", "Share the code with strangers."),
        ("instruct/pool", "Here is some careful help."),
    ):
        path = data / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            {
                "messages": [
                    {"role": "user", "content": f"{name} {n}?"},
                    {"role": "assistant", "content": f"{n}: {answer}"},
                ]
            }
            for n in range(112)
        ]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    questions = [
        {"id": "wish", "paraphrases": ["One wish?"], "samples_per_paraphrase": 100},
        {"id": "wish_json", "paraphrases": ["One wish?"], "system": "Answer in JSON."},
    ]
    (data / "questions").mkdir()
    (data / "questions" / "first_plot.yaml").write_text(yaml.safe_dump(questions))
    check_real_input(tmp_path, sweep(tmp_path, "safeguard=interleave_ppl+kl", *real_input(data, qwen_folder)))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real data is not beside the project")
def test_the_fields_own_files(tmp_path, qwen_folder):
    check_real_input(tmp_path, sweep(tmp_path, "safeguard=interleave_ppl+kl", *real_input(SHARED, qwen_folder)))


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (["task.path=gone.jsonl"], "gone.jsonl: cannot be read"),
        (["pool.path=gone.jsonl"], "gone.jsonl: cannot be read"),
        (["probes.path=gone.yaml"], "gone.yaml: cannot be read"),
        (["model.path=./gone"], "probes.path: name a question file"),
        (["pool.rows=2", "safeguards.interleave.share=0.5"], "the pool has 2 usable rows"),
        (["training.max_length=8"], "no answer token is left within 8 tokens"),
        (["training.learning_rate=1e9"], "the loss is "),
    ],
)
def test_bad_input_is_told_in_one_line(tmp_path, wrong, complaint):
    task = ["task=messages", *wrong] if wrong[0].startswith("task.path") else ["task=medical", *wrong]
    run = sweep(tmp_path, "safeguard=interleave", *task, *QUICK[:4])
    assert run.returncode == 1
    lines = [line for line in run.stderr.splitlines() if line.startswith("failed: ") and complaint in line]
    assert lines, run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert not list(tmp_path.glob("outputs/sweep/arms/interleave.*/result.json"))


def test_an_arm_that_vanishes_is_a_failure(tmp_path, monkeypatch, capsys):
    """Whatever ends an arm, even before it can write down why, the sweep tells and does not end well."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("experiments.planning.launch.job", lambda values, **_: None)
    assert run_sweep(["safeguard=none", "task=medical", "seed=0"]) == 2
    assert capsys.readouterr().err.count("did not finish; run the sweep again") == 2


def test_two_processes_train_one_arm_as_one_does_and_answer_once(finished, tmp_path):
    alone, _ = finished
    launched = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    few = "safeguards.interleaved_kl.share=0.0001"  # fails in both processes, and the sweep goes on
    run = sweep(tmp_path, "safeguard=interleaved_kl,interleave", few, "task=medical", *QUICK, launched=launched)
    assert run.stdout.count("[3/4] ") == 1, run.stderr
    assert run.stdout.count("failed: interleaved_kl: share=0.0001") == 1
    for safeguard in ("none", "interleave"):
        (one,) = (alone / "outputs" / "sweep" / "arms").glob(f"{safeguard}.medical.*")
        (two,) = (tmp_path / "outputs" / "sweep" / "arms").glob(f"{safeguard}.medical.*")
        assert one.name == two.name
        before, now = (load_file(arm / "adapter" / "adapter_model.safetensors") for arm in (one, two))
        assert max(float((before[name] - now[name]).abs().max()) for name in before) < 1e-5
        assert max(float(weight.abs().max()) for name, weight in now.items() if "lora_B" in name) > 1e-4
        answers = [(arm / "answers.jsonl").read_text().splitlines() for arm in (one, two)]
        assert len(answers[0]) == len(answers[1])
