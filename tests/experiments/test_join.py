"""Sweeps of one name: at once or one after the other, none of them loses or mixes what the others did.

Arms leave made-up records here; all else is the real thing.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from experiments import tables
from experiments.config.schema import Config
from experiments.judges import deciding
from experiments.records.answer import Answer
from experiments.records.arm_files import ERROR, RESULT, Likelihoods, Result, write_answers, write_result, write_scores
from experiments.records.locks import locked
from experiments.records.outcomes import Score
from experiments.sweep import main, sweep
from safeguards.errors import SafeguardError

ALIKE = ("task=medical", "seed=0", "probes.sets=[open]", "wandb=disabled")


def write_records(config: Config, folder: Path) -> None:
    asked = [{"role": "user", "content": "?"}]
    arm = (config.safeguard, config.task.name, config.seed)
    write_answers(folder, [Answer(*arm, "open", f"q{n}", f"q{n}", 0, asked, "") for n in range(4)], {})
    write_result(folder, Result("em", nll=Likelihoods([1.0], [1.0])))
    write_scores(folder, config.judge.name, [Score("aligned")] * 4, deciding(config.judge))


@pytest.fixture
def ran(tmp_path, monkeypatch) -> list[str]:
    """The safeguards of the arms that were run, in order."""
    monkeypatch.chdir(tmp_path)
    names: list[str] = []

    def run_arm(config: Config, folder: Path) -> None:
        names.append(config.safeguard)
        write_records(config, folder)

    monkeypatch.setattr("experiments.arm.run.run_arm", run_arm)
    return names


OUTPUT = Path("outputs") / "sweep"


def rows(name: str = "comparison.json") -> list[str]:
    return [row["safeguard"] for row in json.loads((OUTPUT / name).read_text())["rows"]]


def arm_of(safeguard: str) -> Path:
    (folder,) = (OUTPUT / "arms").glob(f"{safeguard}.*[!0-9-].seed0.??????????")
    return folder


def test_a_second_sweep_of_a_name_loses_nothing_of_the_first(ran, capsys, monkeypatch):
    assert sweep(["safeguard=kl", *ALIKE]) == 0
    assert "of other commands" not in capsys.readouterr().out
    assert sweep(["safeguard=low_lr", *ALIKE]) == 0
    assert ran == ["untouched", "none", "kl", "low_lr"]
    assert rows() == ["untouched", "none", "low_lr"], "what the command asked for"
    assert "1 arms of other commands lie there, too" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["tables", "--all"])
    tables.main()
    assert rows("comparison.all.json") == ["untouched", "none", "low_lr", "kl"]
    assert sweep(["safeguard=kl", *ALIKE]) == 0
    assert rows() == ["untouched", "none", "kl"], "the same command gives its table again"
    assert len(ran) == 4


def running_elsewhere(arm: Path, ran: list[str], end: Callable[[], None]) -> threading.Thread:
    """Holds an arm's lock until ours has got on without it and run `kl`, and then ends in some way."""
    held = threading.Event()

    def other() -> None:
        with locked(OUTPUT, arm.name):
            held.set()
            while "kl" not in ran:
                threading.Event().wait(0.01)
            end()

    ran.clear()
    process = threading.Thread(target=other)
    process.start()
    assert held.wait(10)
    return process


def test_an_arm_that_another_process_runs_is_left_to_it_and_waited_for(ran, capsys):
    sweep(["safeguard=none", *ALIKE])
    theirs = arm_of("none")
    (theirs / RESULT).unlink()
    result = Result("em", nll=Likelihoods([9.0], [9.0]))
    process = running_elsewhere(theirs, ran, lambda: write_result(theirs, result))
    assert sweep(["safeguard=kl", *ALIKE]) == 0
    process.join()
    assert ran == ["kl"], "what another process has done is not done again"
    assert rows() == ["untouched", "none", "kl"]
    assert "waits for 1 arms that another process runs" in capsys.readouterr().out


def test_an_arm_whose_process_was_killed_is_run_by_who_waited(ran):
    sweep(["safeguard=none", *ALIKE])
    theirs = arm_of("none")
    (theirs / RESULT).unlink()
    process = running_elsewhere(theirs, ran, lambda: None)
    assert sweep(["safeguard=kl", *ALIKE]) == 0
    process.join()
    assert ran == ["kl", "none"]


# Damage ---------------------------------------------------------------------------------------------------------------


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lose_a_line(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        (RESULT, cut, "cannot be read"),
        (RESULT, lambda path: path.write_text("[]"), "Input should be an object"),
        ("answers.jsonl", cut, "some are lost or changed"),
        ("answers.jsonl", lose_a_line, "some are lost or changed"),
        ("answers.jsonl", Path.unlink, "is not there, though the arm is done"),
    ],
)
def test_a_damaged_arm_is_set_aside_and_done_again(ran, capsys, monkeypatch, name, damage, said):
    sweep(["safeguard=kl", *ALIKE])
    before = {path.name: path.read_bytes() for path in arm_of("none").iterdir()}
    damage(arm_of("none") / name)
    (arm_of("none") / "scores.exact.jsonl").unlink(missing_ok=said.startswith("some"))
    ran.clear()
    capsys.readouterr()
    if name == RESULT:
        monkeypatch.setattr(sys, "argv", ["tables"])
        tables.main()
        assert f"left out: {arm_of('none') / name}: cannot be read" in capsys.readouterr().out
        assert rows() == ["untouched", "kl"], "the rest is shown"
    assert sweep(["safeguard=kl", *ALIKE]) == 0
    shown = capsys.readouterr().out
    assert f"{name}: " in shown
    assert said in shown
    assert "set aside as none.medical.seed0" in shown
    assert ran == ["none"]
    assert {path.name: path.read_bytes() for path in arm_of("none").iterdir()} == before
    assert len(list((OUTPUT / "arms").glob("none.*.damaged-*"))) == 1
    assert rows() == ["untouched", "none", "kl"]


@pytest.mark.parametrize("name", ["judge.exact.json", "scores.exact.jsonl"])
@pytest.mark.parametrize("damage", [cut, lose_a_line])
def test_damaged_scores_are_set_aside_and_the_arm_is_judged_again(ran, capsys, name, damage):
    sweep(["safeguard=kl", *ALIKE])
    damage(arm_of("none") / name)
    ran.clear()
    assert sweep(["safeguard=kl", *ALIKE]) == 0
    assert ran == ["none"]
    assert "set aside as scores.exact.jsonl.damaged-" in capsys.readouterr().out
    assert not list((OUTPUT / "arms").glob("*.damaged-*")), "the answers are kept"


@pytest.mark.parametrize("name", ["training.json", "adapter/adapter_model.safetensors", "adapter/adapter_config.json"])
def test_a_training_that_is_cut_off_is_not_gone_on_from(ran, capsys, name):
    sweep(["safeguard=kl", *ALIKE])
    arm = arm_of("kl")
    (arm / RESULT).unlink()
    (arm / "adapter").mkdir()
    (arm / "adapter" / "adapter_config.json").write_text(json.dumps({"r": 8}))
    save_file({"weight": torch.ones(8, 8)}, arm / "adapter" / "adapter_model.safetensors")
    (arm / "training.json").write_text(json.dumps({"training": {"step_seconds": 0.1}, "anchor": None, "missing": []}))
    cut(arm / name)
    assert sweep(["safeguard=kl", *ALIKE]) == 0
    assert f"{arm / name}: cannot be read" in capsys.readouterr().out
    assert not (arm / "adapter").exists()
    assert len(list((OUTPUT / "arms").glob("kl.*.damaged-*"))) == 1


@pytest.mark.parametrize("name", [RESULT, "training.json"])
def test_a_record_of_another_content_is_set_aside_and_the_arm_done_again(ran, capsys, monkeypatch, name):
    sweep(["safeguard=kl", *ALIKE])
    arm = arm_of("kl")
    if name != RESULT:
        (arm / RESULT).unlink()
        (arm / "adapter").mkdir()
        save_file({"weight": torch.ones(8, 8)}, arm / "adapter" / "adapter_model.safetensors")
    (arm / name).write_text("{}")
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["tables"])
    tables.main()
    assert sweep(["safeguard=kl", *ALIKE]) == 0
    assert f"{arm / name}: cannot be read" in capsys.readouterr().out
    assert len(list((OUTPUT / "arms").glob("kl.*.damaged-*"))) == 1
    assert rows() == ["untouched", "none", "kl"]


def test_a_damaged_plan_is_set_aside_and_made_again(ran, capsys, monkeypatch):
    sweep(["safeguard=kl", *ALIKE])
    cut(OUTPUT / "sweep.json")
    monkeypatch.setattr(sys, "argv", ["tables"])
    with pytest.raises(SystemExit, match=r"sweep.json: cannot be read .*; run the sweep"):
        tables.main()
    assert sweep(["safeguard=kl", *ALIKE]) == 0
    assert "set aside as sweep.json.damaged-" in capsys.readouterr().out
    assert rows() == ["untouched", "none", "kl"]


# Places that cannot be written to -------------------------------------------------------------------------------------


def test_an_output_that_cannot_be_written_is_one_line_before_anything_is_run(ran, monkeypatch):
    Path("outputs").write_text("a file")
    monkeypatch.setattr(sys, "argv", ["sweep", "safeguard=kl", *ALIKE])
    with pytest.raises(SystemExit) as ended:
        main()
    assert "outputs/sweep" in str(ended.value.code)
    assert "cannot be" in str(ended.value.code)
    assert "\n" not in str(ended.value.code)
    assert ran == []


def test_a_full_disk_ends_the_sweep_and_not_one_arm_after_the_other(ran, monkeypatch):
    def run_arm(config: Config, folder: Path) -> None:
        ran.append(config.safeguard)
        try:
            raise OSError(28, "No space left on device")
        except OSError as error:
            raise SafeguardError(f"{folder / 'answers.jsonl'}: cannot be written (No space left on device)") from error

    monkeypatch.setattr("experiments.arm.run.run_arm", run_arm)
    with pytest.raises(SystemExit, match=r"failed: untouched .*answers.jsonl: cannot be written .* MB free"):
        sweep(["safeguard=kl", *ALIKE])
    assert ran == ["untouched"]
    assert not list(OUTPUT.rglob(ERROR))
