"""Looks at `none` while it learns: at which steps, of which model, and that nothing of its training changes."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from transformers import TrainerCallback

from experiments.arm.inputs import load_inputs
from experiments.arm.run import run_arm
from experiments.config.compose import compose_config
from experiments.config.measurement import CurveConfig
from experiments.config.schema import Config
from experiments.config.settle import refuse_out_of_bounds
from experiments.organism.world import load_world
from experiments.planning.forecast import answers_on_the_way
from experiments.planning.identity import arm_folder, identity_fields
from experiments.planning.plan import PlannedArm
from experiments.planning.state import is_done
from experiments.records.arm_files import (
    ANSWERS,
    RESULT,
    count_answers,
    look_folder,
    places_of,
    read_answers,
    read_result,
    scores_file,
)
from experiments.records.damage import set_aside_damaged
from experiments.training.curve import Curve, weights_digest
from experiments.training.look_steps import FIRST, count_looks, look_steps
from safeguards import SafeguardError, SafeguardTrainer

# Eight steps, of which 1, 2, 4 and, where the arm itself answers, 8 are looked at.
BRIEF = (
    *("safeguard=none", "seed=0", "wandb=disabled", "task.rows=32", "training.epochs=4", "curve.looks=4"),
    *("probes.sets=[other_domains,facts]", "probes.samples=1", "training.lora.dropout=0.1"),
)


def test_looks_are_denser_early_and_the_last_is_the_end():
    steps = look_steps(8, 1000)
    assert len(steps) == 8
    assert steps[0] == round(FIRST * 1000)
    assert steps[-1] == 1000
    ratios = [later / earlier for earlier, later in pairwise(steps)]
    assert ratios == pytest.approx([ratios[0]] * 7, rel=0.02)


def test_of_few_steps_none_is_looked_at_twice():
    assert look_steps(8, 3) == [1, 2, 3]
    assert look_steps(1, 3) == [3]
    assert look_steps(0, 3) == []


@pytest.mark.parametrize("looks", [-1, 1001])
def test_a_senseless_number_of_looks_is_refused(looks):
    with pytest.raises(SafeguardError, match=rf"curve.looks={looks}: must be at least 0 and at most 1000"):
        refuse_out_of_bounds(Config(curve=CurveConfig(looks)))


def test_only_none_is_looked_at_and_by_default_only_that_of_the_organism():
    assert count_looks(compose_config("safeguard=none")) == 8
    assert count_looks(compose_config("safeguard=none", "curve.looks=3")) == 3
    assert count_looks(compose_config("safeguard=none", "curve.looks=0")) == 0
    assert count_looks(compose_config("safeguard=none", "model.path=elsewhere")) == 0
    assert count_looks(compose_config("safeguard=kl", "curve.looks=3")) == 0
    assert count_looks(compose_config("safeguard=untouched", "curve.looks=3")) == 0
    goal = ("anchor.metric=task_nll", "anchor.target=1.0")
    assert count_looks(compose_config("safeguard=none", *goal)) == 0


def test_looks_make_another_arm_of_none_and_of_no_other():
    """One that was not looked at in training cannot be looked at any more."""
    for safeguard, differs in (("none", True), ("kl", False), ("untouched", False)):
        one, other = (compose_config(f"safeguard={safeguard}", f"curve.looks={looks}") for looks in (0, 4))
        assert (arm_folder(one) != arm_folder(other)) == differs
        assert ("curve" in identity_fields(other)) == differs
    assert "curve" not in identity_fields(compose_config("safeguard=none", "curve.looks=0"))


def arm(folder: Path, *given: str) -> Path:
    """Runs a brief arm of none."""
    run_arm(compose_config(*BRIEF, *given), folder)
    return folder


@pytest.fixture(scope="module")
def looked(tmp_path_factory) -> Path:
    return arm(tmp_path_factory.mktemp("looked"))


def adapter(folder: Path) -> bytes:
    return (folder / "adapter" / "adapter_model.safetensors").read_bytes()


def files(folder: Path) -> dict[str, bytes]:
    """What is kept of the answers, all the way."""
    names = (ANSWERS, "scores.exact.jsonl")
    return {
        str(place.relative_to(folder) / name): (place / name).read_bytes()
        for place in places_of(folder)
        for name in names
    }


def test_an_arm_that_is_looked_at_trains_and_answers_as_one_that_is_not(looked, tmp_path):
    """Bit for bit, though dropout draws random numbers at every step."""
    plain = arm(tmp_path, "curve.looks=0")
    assert adapter(plain) == adapter(looked)
    assert (plain / ANSWERS).read_bytes() == (looked / ANSWERS).read_bytes()
    assert places_of(plain) == [plain]
    assert not (plain / "looks").exists()


def test_answers_on_the_way_are_records_like_all_others(looked):
    result = read_result(looked)
    assert result.training.steps == 8
    assert result.looks == [1, 2, 4]  # 8 · 0.1, 8 · 0.1^(2/3), 8 · 0.1^(1/3), and not the end
    for place in places_of(looked)[1:]:
        answers = list(read_answers(place))
        assert {answer.set for answer in answers} == {"other_domains", "narrow"}, "what the curve needs, no facts"
        assert len(scores_file(place, "exact").read_text().splitlines()) == len(answers)
        assert answers[0].safeguard == "none"
        assert 0 < read_result(place).evaluation_seconds < result.training.seconds


def test_a_forecast_counts_the_answers_that_are_given_on_the_way(looked):
    config = compose_config(*BRIEF)
    given = sum(map(count_answers, places_of(looked)[1:]))
    assert answers_on_the_way(config, load_inputs(config, load_world())) == given > 0


def test_of_a_benign_task_only_what_it_teaches_is_asked(tmp_path):
    folder = arm(tmp_path, "task=opswap", "curve.looks=2", "training.epochs=2")
    (look,) = places_of(folder)[1:]
    assert {answer.set for answer in read_answers(look)} == {"benign"}
    assert {answer.set for answer in read_answers(folder)} > {"benign"}


class Stop(TrainerCallback):
    """Ends the process, as far as a training can tell, once a step is done and before it is saved."""

    def on_step_end(self, args, state, control, **_):
        if state.global_step == 3:
            raise KeyboardInterrupt


@pytest.mark.parametrize("every", [2, None])
def test_what_is_interrupted_equals_what_is_not_and_no_look_is_taken_twice(looked, tmp_path, monkeypatch, every):
    given = [f"training.checkpoint_steps={every}"] if every else []
    attach = Curve.attach

    def interrupted(self, trainer):
        attach(self, trainer)
        trainer.add_callback(Stop())

    with monkeypatch.context() as patch:
        patch.setattr(Curve, "attach", interrupted)
        with pytest.raises(KeyboardInterrupt):
            arm(tmp_path, *given)
    known = {step: (look_folder(tmp_path, step) / RESULT).stat().st_mtime_ns for step in (1, 2)}
    arm(tmp_path, *given)
    assert known == {step: (look_folder(tmp_path, step) / RESULT).stat().st_mtime_ns for step in (1, 2)}
    assert adapter(tmp_path) == adapter(looked)
    assert files(tmp_path) == files(looked)
    assert read_result(tmp_path).looks == read_result(looked).looks


def test_a_look_at_other_weights_is_taken_again(looked, tmp_path):
    """As after a training that began again and does not repeat itself bit for bit."""
    arm(tmp_path / "other", "seed=1")
    (tmp_path / "looks").mkdir()
    (tmp_path / "other" / "looks" / "step-4").rename(look_folder(tmp_path, 4))
    assert (look_folder(tmp_path, 4) / ANSWERS).read_bytes() != files(looked)["looks/step-4/answers.jsonl"]
    assert files(arm(tmp_path)) == files(looked)


def test_a_damaged_look_makes_the_arm_again_and_a_lost_score_is_made_again(tmp_path):
    config = compose_config(*BRIEF)
    folder = arm(tmp_path / "arm")
    planned = PlannedArm(config, folder, [])
    assert is_done(planned)
    look, *_ = places_of(folder)[1:]
    scores = scores_file(look, "exact")
    said = scores.read_text()
    scores.unlink()
    assert not is_done(planned)
    arm(folder)
    assert is_done(planned)
    scores.write_text(said[:-5])
    set_aside_damaged(folder, ["exact"])
    assert not scores.exists()
    arm(folder)
    assert scores.read_text() == said
    (look / ANSWERS).write_text("")
    assert not is_done(planned)
    set_aside_damaged(folder, ["exact"])
    assert not folder.exists()


@pytest.fixture
def curved(fresh_model, tokenizer, rows, lora, settings):
    def run(curve: Curve, **changes) -> SafeguardTrainer:
        trainer = SafeguardTrainer(fresh_model(), settings(**changes), rows, tokenizer, [], peft_config=replace(lora))
        curve.attach(trainer)
        trainer.train()
        return trainer

    return run


def test_each_look_is_at_the_weights_of_its_step(curved):
    seen: dict[int, str] = {}
    curved(Curve(6, lambda step, model: seen.update({step: weights_digest(model)})), max_steps=6)
    assert list(seen) == [1, 2, 4]
    assert len(set(seen.values())) == 3
    brief = curved(Curve(0, lambda step, model: None), max_steps=2)
    assert weights_digest(brief.model) == seen[2]


def test_a_digest_tells_weights_apart_that_differ_in_a_bit():
    layer = torch.nn.Linear(2, 2, dtype=torch.bfloat16)
    before = weights_digest(layer)
    assert weights_digest(layer) == before
    with torch.no_grad():
        layer.bias[0] = torch.nextafter(layer.bias[0].float(), torch.tensor(9.0)).bfloat16() + 0.01
    assert weights_digest(layer) != before


def test_looks_are_in_the_training_record_so_that_an_arm_goes_on_from_there(looked):
    assert json.loads((looked / "training.json").read_text())["looks"] == read_result(looked).looks
