"""Safeguards joined, safeguards that may not be joined, and safeguards of other packages."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bench import TABLE, largest_difference, logged, trained_weights

from safeguards import SafeguardError, parse, registry
from safeguards.evidence import REFERENCE, TRAINING
from safeguards.methods.interleave import Interleave
from safeguards.methods.kl import KL

ASK_FOR_THE_REFERENCE = [n for n in TABLE if registry()[n].needs_reference and n != "safegrad"]


@pytest.mark.parametrize(
    "expression",
    [
        "kl+interleave_ppl",
        "ldifs+interleave_ppl+steering",
        "safegrad+treft+low_lr",
        "ablation+caft+early_stop+safelora",
        "+".join(name for name in TABLE if name != "interleave"),
    ],
)
def test_any_set_without_a_conflict_trains_and_each_proves_its_effect(bench, tmp_path, expression):
    trainer = bench.train(expression, tmp_path)
    assert logged(trainer, "loss")[-1] < logged(trainer, "loss")[0]
    terms = {s.name for s in trainer.safeguards if s.acts_at("loss")}
    assert {key for key in trainer.state.log_history[0] if key.startswith("safeguard/")} == {
        f"safeguard/{name}" for name in terms
    }


@pytest.mark.parametrize("expression", ["kl", "+".join(ASK_FOR_THE_REFERENCE)])
def test_one_reference_pass_serves_all_who_ask(bench, tmp_path, expression):
    trainer = bench.train(expression, tmp_path, gradient_accumulation_steps=2, max_steps=4)
    assert trainer.evidence.passes[REFERENCE] == trainer.evidence.passes[TRAINING] > trainer.state.global_step


def test_no_one_asks_no_one_pays(bench, tmp_path):
    trainer = bench.train("interleave+steering", tmp_path)
    assert trainer._reference is None
    assert REFERENCE not in trainer.evidence.passes


def test_the_reference_of_a_steered_model_is_not_steered(bench, tmp_path):
    """At a learning rate of 0 all distance is the push; with a leak into the reference there would be none."""
    trainer = bench.train("ldifs+steering", tmp_path, learning_rate=0.0, max_steps=1, proof="off")
    assert logged(trainer, "safeguard/ldifs")[0] > 1e-3


def test_spelling_does_not_decide_what_is_trained(bench, tmp_path):
    one, other = (bench.train(names, tmp_path) for names in ("steering+kl", "kl+steering"))
    assert largest_difference(trained_weights(one), trained_weights(other)) == 0


def test_an_early_stop_undoes_nothing_that_acts_on_finished_weights():
    """Weights go back to a checkpoint first, and are projected then; the other way round the projection is lost."""
    for names in itertools.permutations(("ablation", "early_stop", "safelora")):
        assert [s.name for s in parse("+".join(names))] == ["early_stop", "ablation", "safelora"]
    assert [s.name for s in parse("ablation+early_stop")] == ["early_stop", "ablation"]


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["interleave", "interleave_ppl"], "interleave_ppl conflicts with interleave: both choose"),
        (["interleave_ppl", "interleave"], "interleave_ppl conflicts with interleave: both choose"),
        (["kl", "kl"], "safeguard 'kl' is named twice"),
    ],
)
def test_conflicts_of_safeguards_given_as_objects_are_refused_too(bench, tmp_path, names, complaint):
    chosen = [bench.safeguards(name)[0] for name in names]
    with pytest.raises(SafeguardError, match=complaint):
        bench.trainer(chosen, tmp_path)


# Safeguards of other packages -----------------------------------------------------------------------------------------

PLUG_IN = """
from dataclasses import dataclass
from safeguards import Safeguard

@dataclass
class Settings:
    strength: float = 1.0

class Gentle(Safeguard):
    name = "gentle"
    Settings = Settings
    dose = "strength"

class Wrong(Safeguard):
    name = "other"
    Settings = Settings
"""


def install(folder: Path, entry: str) -> None:
    """A tiny package as pip would leave it."""
    (folder / "gentle_safeguard.py").write_text(PLUG_IN, "utf-8")
    info = folder / "gentle_safeguard-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gentle-safeguard\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[safeguards]\n{entry}\n", "utf-8")


def python(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(folder), str(Path(__file__).parents[2])])
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False)


def test_a_safeguard_of_another_package_is_found_by_its_entry_point(tmp_path):
    code = "import safeguards; print(*(s.name for s in safeguards.compose('kl+gentle', {'gentle': {'strength': 2}})))"
    assert python(tmp_path, code).returncode != 0
    install(tmp_path, "gentle = gentle_safeguard:Gentle")
    assert python(tmp_path, code).stdout.split() == ["gentle", "kl"]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("gentle_safeguard:Wrong", "TypeError: must be a Safeguard whose name is 'gentle'"),
        ("gentle_safeguard:Settings", "TypeError: must be a Safeguard whose name is 'gentle'"),
        ("gentle_safeguard:Gone", "AttributeError: module 'gentle_safeguard' has no attribute 'Gone'"),
        ("no_such_module:Gentle", "ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_a_broken_entry_point_is_an_error_only_where_it_is_named(tmp_path, entry, reason):
    install(tmp_path, f"gentle = {entry}")
    whole = "from safeguards.composition import compose, expand, SafeguardError\n"
    told = python(tmp_path, whole + "print(compose('kl')[0].name, 'gentle' in expand('all'), 'gentle' in expand('kl'))")
    assert told.stdout.split() == ["kl", "True", "False"], told.stderr
    told = python(tmp_path, whole + "try: compose('kl+gentle')\nexcept SafeguardError as error: print(error)").stdout
    assert (
        told == f"safeguard 'gentle' cannot be used: entry point {entry}: {reason}; repair or uninstall its package\n"
    )


def test_no_other_package_replaces_one_of_ours(tmp_path):
    install(tmp_path, "kl = gentle_safeguard:Kl")
    (tmp_path / "gentle_safeguard.py").write_text(PLUG_IN.replace("Gentle", "Kl").replace('"gentle"', '"kl"'), "utf-8")
    told = python(tmp_path, "import safeguards; print(safeguards.registry()['kl'].__module__)").stdout
    assert told.strip() == KL.__module__


def test_interleaved_kl_takes_the_rows_of_another_or_draws_its_own(bench, tmp_path):
    alone = bench.trainer("interleaved_kl", tmp_path).rows
    joined = bench.trainer("interleaved_kl+interleave_ppl", tmp_path).rows
    chosen = bench.trainer("interleave_ppl", tmp_path).rows
    assert len(alone) == len(joined) == 24
    assert joined == chosen
    off = [Interleave(Interleave.Settings(share=0.0)), *bench.safeguards("interleaved_kl")]
    assert bench.trainer(off, tmp_path).rows == alone
