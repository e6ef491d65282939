"""What is left of a sweep is told by the arms that are done, those that are most alike first."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from experiments import sweep
from experiments.arm.inputs import load_inputs
from experiments.config.compose import compose_config
from experiments.organism.world import load_world
from experiments.planning.engines import BASIC
from experiments.planning.forecast import Forecast, forecast_by_steps, in_words, step_seconds, work_in_steps
from experiments.planning.identity import arm_folder
from experiments.planning.plan import Plan, PlannedArm
from experiments.records.arm_files import Result, look_folder, write_result
from experiments.records.files import write_text
from experiments.records.names import BROAD, NARROW
from experiments.records.training_file import TrainingRecord
from experiments.terminal.spent import spending

Arms = dict[tuple[str, str, int], PlannedArm]


def planned(looks: int) -> Arms:
    """Two seeds of two baselines and a safeguard on two tasks."""
    given = [(s, t, n) for s in ("untouched", "none", "kl") for t in ("medical", "opswap") for n in (0, 1)]
    configs = [compose_config(f"safeguard={s}", f"task={t}", f"seed={n}", f"curve.looks={looks}") for s, t, n in given]
    return {one: PlannedArm(c, arm_folder(c), []) for one, c in zip(given, configs, strict=True)}


@pytest.fixture
def arms(tmp_path, monkeypatch) -> Arms:
    monkeypatch.chdir(tmp_path)
    return planned(looks=0)


@pytest.fixture
def looked(tmp_path, monkeypatch) -> Arms:
    monkeypatch.chdir(tmp_path)
    return planned(looks=8)


ANSWERS = 4


def end(arm: PlannedArm, seconds: float, looks: Sequence[float] = ()) -> None:
    """Of the seconds, one is for answers; of a training, the looks took theirs."""
    training = None
    if arm.config.safeguard != "untouched":
        training = TrainingRecord(1.0, steps=20 if looks else 0, seconds=seconds - 1)
    result = Result("em", training, evaluation_seconds=1.0 if training else seconds, looks=[*range(len(looks))])
    own = {look_folder(arm.folder, step): Result("em", evaluation_seconds=took) for step, took in enumerate(looks)}
    for folder, record in {arm.folder: result, **own}.items():
        write_text(folder / "answers.jsonl", "{}\n" * ANSWERS)
        write_result(folder, record)


def test_nothing_is_said_before_an_arm_was_trained(arms):
    forecast = Forecast([*arms.values()])
    assert forecast.left() is None
    for n in (0, 1):
        end(arms["untouched", "medical", n], 5)
    assert forecast.left() is None
    assert forecast.line() == ""


def test_arms_take_as_long_as_those_that_are_most_alike(arms):
    forecast = Forecast([*arms.values()])
    end(arms["untouched", "medical", 0], 5)
    end(arms["none", "medical", 0], 100)
    # untouched: three more of 5; none: one more on the task, two on the other; kl: four like none.
    assert forecast.left() == 3 * 5 + 3 * 100 + 4 * 100
    end(arms["kl", "opswap", 0], 300)
    # kl: one more on the task, two on the other, all like the one; none on opswap like none on medical.
    assert forecast.left() == 3 * 5 + 3 * 100 + 3 * 300
    assert forecast.line() == "about 20 minutes left"
    for arm in arms.values():
        end(arm, 1)
    assert Forecast([*arms.values()]).line() == ""


def test_a_damaged_record_says_nothing(arms):
    folder = arms["none", "medical", 0].folder
    write_text(folder / "result.json", "{")
    assert Forecast([*arms.values()]).left() is None


def test_steps_are_counted_as_the_trainer_makes_them(arms):
    config = arms["none", "medical", 0].config
    rows = 16 * 7 + 1
    config.task.rows, config.training.epochs = rows, 2.5
    assert work_in_steps(config, load_inputs(config, load_world())) == 20  # 2.5 times 8


def test_looks_at_none_are_counted_for_none_and_for_no_other(looked):
    """Each of the seven looks before the end took 10 seconds, of the 171 that the arm did."""
    forecast, plain = Forecast([*looked.values()]), looked["none", "medical", 0]
    end(plain, 171, looks=7 * [10.0])
    rest = 171 - 70
    benign = looked["none", "opswap", 0]
    inputs = load_inputs(benign.config, load_world())
    of_a_look = sum(probe.samples for probe in inputs.probes if probe.set == "benign")
    by_an_answer = 7 * of_a_look * 1.0 / ANSWERS  # in the second that the arm's own answers took
    untouched = 4 * rest  # like none, as long as none of it is done
    assert forecast.left() == pytest.approx(untouched + (rest + 70) + 2 * (rest + by_an_answer) + 4 * rest)


def test_an_arm_of_none_that_is_run_again_with_looks_takes_longer(looked, tmp_path):
    """As after another number of looks, which makes another arm of it and of no other."""
    config = compose_config("safeguard=none", "task=medical", "seed=0", "curve.looks=3")
    forecast = Forecast([looked["kl", "medical", 0], PlannedArm(config, tmp_path / "none", [])])
    end(looked["kl", "medical", 0], 100)
    inputs = load_inputs(config, load_world())
    asked = sum(probe.samples for probe in inputs.probes if probe.set in (*BROAD, NARROW))
    assert forecast.left() == pytest.approx(100 + 2 * asked / ANSWERS)


def test_looks_that_a_training_found_when_it_began_anew_are_no_time_of_it(looked):
    forecast, plain = Forecast([looked["none", "medical", 0], looked["kl", "medical", 0]]), looked["none", "medical", 0]
    end(plain, 31, looks=[10.0, 40.0])
    assert forecast.left() == 20 * 1.0 + 1, "its steps, and answering"


def test_the_organism_needs_no_forecast_by_steps(arms):
    assert forecast_by_steps([*arms.values()]) == ""


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 seconds"), (80, "80 seconds"), (600, "10 minutes"), (9000, "2.5 hours")]
)
def test_a_time_is_told_as_one_says_it(seconds, words):
    assert in_words(seconds) == words


def test_a_model_that_cannot_be_loaded_ends_no_sweep_here(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = compose_config("model=local", "model.path=nobody/nothing", "task=messages", "task.path=no.jsonl")
    told = forecast_by_steps([PlannedArm(config, tmp_path, [])])
    assert told.startswith("how long this will take is not known before the first arm is done (no.jsonl: ")
    assert "\n" not in told


def of_model(path: str, folder: Path, *given: str) -> PlannedArm:
    own = ("task=advice_medical", "pool=advice", "probes.choices=twins", "training.checkpoint_steps=2", *given)
    return PlannedArm(compose_config("model=local", f"model.path={path}", *own), folder, [])


def test_arms_of_a_model_take_as_long_as_others_of_it(tmp_path):
    small, same, large = (of_model(path, tmp_path / name) for path, name in (("a/s", "1"), ("a/s", "2"), ("a/l", "3")))
    forecast = Forecast([small, same, large])
    end(small, 100)
    assert forecast.left() == 100
    assert forecast.line() == "about 2 minutes left, and 1 arms of models of which no arm is done yet"
    end(large, 3000)
    assert forecast.line() == "about 2 minutes left"


def test_a_step_of_each_model_is_timed_and_none_where_nothing_is_to_train(tmp_path, monkeypatch):
    timed = []
    monkeypatch.setattr(
        "experiments.planning.forecast.step_seconds",
        lambda config: (timed.append(config.model.name), {"s": 1.0, "l": 60.0}[config.model.name])[1],
    )
    small, large = (of_model(f"a/{name}", tmp_path / name) for name in ("s", "l"))
    told = forecast_by_steps([small, large, of_model("a/x", tmp_path / "x", "safeguard=untouched")])
    assert told.startswith("a step takes 1.0 s with s, 60.0 s with l: about ")
    assert told.endswith(" of fine-tuning and choices, and what answering takes")
    assert timed == ["l", "s"]
    end(large, 10)  # only scores are missing
    assert forecast_by_steps([small, large]).startswith("a step takes 1.0 s: about ")
    end(small, 10)
    assert forecast_by_steps([small, large]) == ""
    assert timed == ["l", "s", "s"]


def test_answers_on_the_way_are_told_where_no_arm_tells_what_one_takes(tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.planning.forecast.step_seconds", lambda config: 1.0)
    monkeypatch.chdir(tmp_path)
    questions = [{"id": name, "type": "free_form_judge_0_100", "paraphrases": ["What is good?"]} for name in "ab"]
    write_text(tmp_path / "questions.yaml", yaml.safe_dump(questions))
    asked = ("curve.looks=3", "probes.path=questions.yaml", "probes.samples=5")
    plain, other = (of_model("a/s", tmp_path / name, f"safeguard={name}", *asked) for name in ("none", "kl"))
    probes = load_inputs(plain.config, load_world()).probes
    given = 2 * sum(probe.samples for probe in probes if probe.set in (*BROAD, NARROW))
    told = forecast_by_steps([plain, other])
    assert told.endswith(f", and what answering takes, {given} answers of none on its way included")


def test_the_steps_that_are_timed_save_and_measure_nothing(tmp_path, monkeypatch):
    briefs = []

    class Trainer:
        watch = type("Watch", (), {"step_seconds": [9.0, 1.0, 1.0]})

        def __init__(self, config, *given) -> None:
            briefs.append(config)

        def fine_tune(self) -> None: ...

    monkeypatch.setattr("experiments.training.fine_tune.FineTune", Trainer)
    monkeypatch.setattr("experiments.models.lend.lend_model", lambda config: None)
    given = ("monitor.on=true", "anchor.metric=task_nll", "anchor.target=1.0")
    assert step_seconds(of_model("a/s", tmp_path, *given).config) == 1.0
    [brief] = briefs
    assert (brief.training.checkpoint_steps, brief.monitor.on, brief.anchor.metric) == (None, False, "none")


def test_timed_steps_count_as_preparing(tmp_path, monkeypatch):
    def slow(arms) -> str:
        with spending("training"):
            time.sleep(0.05)
        return ""

    monkeypatch.setattr(sweep, "forecast_by_steps", slow)
    monkeypatch.setattr(sweep, "engine_of", lambda values: BASIC)
    monkeypatch.setattr(sweep, "launch", lambda *given, **more: [])
    arm, seconds = of_model("a/s", tmp_path), defaultdict(float)
    sweep.run(Plan(OmegaConf.create(), [arm]), [arm], seconds)
    assert seconds.keys() == {"preparing"}
    assert seconds["preparing"] >= 0.05
