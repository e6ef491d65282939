"""The sizing command, as a user types it: no model is loaded, nothing is written."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from experiments.arm.inputs import load_inputs
from experiments.config.compose import compose_config
from experiments.organism.world import load_world
from experiments.plan import main, table
from experiments.planning.plan import PlannedArm
from experiments.records.names import BROAD, NARROW


def told(monkeypatch, capsys, *given: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["plan", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


def test_a_row_for_each_kind_of_arm_and_the_sum(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, _ = told(
        monkeypatch, capsys, "safeguard=kl", "task=medical,opswap", "seed=0,1", "--tflops", "2", "--memory", "24"
    )
    assert code == 0
    rows = [[cell.strip() for cell in line.split("|")[1:5]] for line in out.splitlines() if line.startswith("| ")][1:]
    names = ("untouched", "none", "kl")
    assert rows == [["organism", task, name, "2"] for name in names for task in ("medical", "opswap")]
    assert "12 arms of 1 million parameters: at most " in out
    assert "engine, with 24.0 GB on a device: hydra/launcher=joblib" in out
    assert list(tmp_path.iterdir()) == []


def test_what_a_sweep_would_refuse_is_refused(monkeypatch, capsys):
    code, _, err = told(monkeypatch, capsys, "safeguard=kl", "--tflops", "0")
    assert "--tflops 0.0: must be above 0" in (code if isinstance(code, str) else err)
    code, _, err = told(monkeypatch, capsys, "safegard=kl")
    assert "unknown key 'safegard'" in (code if isinstance(code, str) else err)


def test_the_command_of_its_page_plans_a_preset_without_a_network(tmp_path, monkeypatch, capsys):
    page = (Path(__file__).parents[2] / "experiments" / "ENGINES.md").read_text("utf-8").replace("\\\n", "")
    [command] = re.findall(r"^    python -m experiments\.plan (.+)$", page, re.M)
    monkeypatch.chdir(tmp_path)
    code, out, err = told(monkeypatch, capsys, *shlex.split(command))
    assert (code, err) == (0, "")
    assert "| qwen2.5-7b | advice_medical | kl" in re.sub(r" +", " ", out)


def test_models_that_differ_in_size_have_a_row_each(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arms = []
    for model in ("qwen2.5-0.5b", "qwen2.5-7b"):
        config = compose_config(f"model={model}", "task=advice_medical", "pool=advice", "probes.choices=twins")
        arms.append(PlannedArm(config, tmp_path, []))
    rows = table(arms, 1e12, 80e9).splitlines()[2:4]
    assert [row.split("|")[1].strip() for row in rows] == ["qwen2.5-0.5b", "qwen2.5-7b"]


def test_looks_at_none_are_planned_with_its_time_and_its_answers(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asked = ("safeguard=kl", "task=medical", "seed=0", "--tflops", "0.001", "--memory", "24")

    def planned(looks: int) -> tuple[dict[str, float], dict[str, str], list[int]]:
        _, out, _ = told(monkeypatch, capsys, *asked, f"curve.looks={looks}")
        rows = [[cell.strip() for cell in line.split("|")] for line in out.splitlines() if line.startswith("| ")][1:]
        [line] = [line for line in out.splitlines() if "answers to draw and to judge" in line]
        minutes = {row[3]: float(row[7].removesuffix(" min")) for row in rows}
        counts = [int(count.replace(",", "")) for count in re.findall(r"[\d,]*\d", line)]
        return minutes, {row[3]: row[6] for row in rows}, counts

    (plain, quiet, [alone]), (looked, waiting, [both, of_looks]) = planned(0), planned(3)
    assert looked["none"] > plain["none"]
    assert all(looked[name] == plain[name] for name in ("untouched", "kl"))
    assert "LoRA, optimiser" in waiting["none"]
    assert not any("LoRA" in one for one in [*quiet.values(), waiting["kl"]]), "training is over by then"
    inputs = load_inputs(compose_config("safeguard=none", "task=medical", "seed=0"), load_world())
    assert of_looks == 2 * sum(probe.samples for probe in inputs.probes if probe.set in (*BROAD, NARROW))
    assert both == alone + of_looks
