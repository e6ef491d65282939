"""Identity: an arm's folder changes with everything that decides its result, and with nothing else."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
from changing import changed

from experiments.config.compose import compose_config
from experiments.config.schema import Config
from experiments.planning.identity import arm_folder, identity_fields
from safeguards.composition import compose
from safeguards.methods.kl import KL


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def config(safeguard: str = "kl", **changes) -> Config:
    """A configuration with the settings that a command line would give it; `task__name` is `task.name`."""
    made = Config(safeguard=safeguard)
    made.task.group = "medical"
    made.scorers.tasks = ["finance", "sports"]
    return changed(made, **changes)


def identity(made: Config) -> str:
    return arm_folder(made).name


@pytest.mark.parametrize(
    "change",
    [
        *(
            {"name": "other"},
            {"output": "elsewhere"},
            {"wandb": "disabled"},
            {"report_to": ["mlflow"]},
            {"log_adapter": True},
            {"training__proof": "warn"},
            {"training__checkpoint_steps": 5},
        ),
        *({"primary": "facts_kept"}, {"margins__facts_kept": 0.5}, {"power": {"from": "pilot"}}),
    ],
)
def test_what_decides_no_result_does_not_count(change):
    assert identity(config(**change)) == identity(config())


@pytest.mark.parametrize(
    "change", [{"safeguards__interleave__share": 0.5}, {"safeguards__interleave_ppl__top": 0.9}, {"scorers__count": 1}]
)
def test_settings_of_safeguards_that_are_not_named_do_not_count(change):
    assert identity(config("kl", **change)) == identity(config("kl"))
    assert identity(config("none", **change)) == identity(config("none"))


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"safeguards__kl__weight": 0.3},
        {"task__name": "finance"},
        {"task__group": "finance"},
        {"task__rows": 100},
        {"task__kind": "benign"},
        {"model__path": "elsewhere"},
        {"model__world": 1},
        {"model__quantization": "nf4"},
        {"generator__kind": "vllm"},
        {"training__epochs": 7.0},
        {"training__lora__r": 4},
        {"probes__samples": 9},
        {"probes__temperature": 0.5},
        {"pool__rows": 10},
        {"safeguard": "none"},
        {"safeguard": "kl+interleave"},
    ],
)
def test_what_decides_the_result_counts(change):
    assert identity(config(**change)) != identity(config())


@pytest.mark.parametrize("change", [{"pool__mix": {"facts": 1.0}}, {"pool__domains": ["finance"]}])
def test_the_mix_counts_where_safe_rows_are_drawn_and_nowhere_else(change):
    for drawn in ("interleave", "kl+interleave_ppl", "safegrad"):
        assert identity(config(drawn, **change)) != identity(config(drawn))
    for plain in ("none", "untouched", "kl"):
        assert identity(config(plain, **change)) == identity(config(plain))
    assert {"mix", "domains"}.isdisjoint(identity_fields(config("interleave"))["pool"]), "so that folders stay"


@pytest.mark.parametrize("change", [{"safeguards__interleave_ppl__top": 0.9}, {"scorers__count": 1}])
def test_settings_count_where_their_safeguard_is_part_of_a_composition(change):
    assert identity(config("kl+interleave_ppl", **change)) != identity(config("kl+interleave_ppl"))


def test_a_composition_is_the_same_in_either_order():
    assert identity(config("kl+interleave_ppl")) == identity(config("interleave_ppl+kl"))
    assert identity(config("kl + interleave_ppl")) == identity(config("kl+interleave_ppl"))


def test_training_does_not_count_where_nothing_is_trained():
    assert identity(config("untouched", training__epochs=9.0)) == identity(config("untouched"))
    assert identity(config("none", training__epochs=9.0)) != identity(config("none"))
    assert identity(config("untouched")) != identity(config("none"))


@pytest.mark.parametrize("safeguard", ["kl", "none", "untouched"])
@pytest.mark.parametrize("part", ["task", "pool", "probes"])
def test_the_contents_of_a_file_count(part, safeguard):
    path = Path("rows.jsonl")
    made = config(safeguard, **{f"{part}__path": str(path)})
    missing = identity(made)
    path.write_text("one", "utf-8")
    one = identity(made)
    path.write_text("two", "utf-8")
    two = identity(made)
    path.write_text("one", "utf-8")
    assert len({missing, one, two}) == 3
    assert identity(made) == one


def test_the_contents_of_a_file_that_scorers_are_trained_on_count():
    path = Path("misaligned.jsonl")
    made = config("interleave_ppl", scorers__tasks=[str(path)])
    path.write_text("one", "utf-8")
    one = identity(made)
    path.write_text("two", "utf-8")
    assert identity(made) != one


def test_the_weights_of_a_scorer_that_is_given_count():
    folder = Path("scorer")
    folder.mkdir()
    made = config("interleave_ppl", safeguards__interleave_ppl__scorers=[str(folder)])
    (folder / "adapter_model.safetensors").write_bytes(b"one")
    one = identity(made)
    (folder / "adapter_model.safetensors").write_bytes(b"other weights")
    assert identity(made) != one


def test_the_weights_of_a_local_model_count():
    folder = Path("model")
    folder.mkdir()
    made = config(model__path=str(folder))
    (folder / "model.safetensors").write_bytes(b"one")
    one = identity(made)
    (folder / "model.safetensors").write_bytes(b"other weights")
    assert identity(made) != one


def test_a_folder_says_in_words_which_arm_it_is():
    folder = arm_folder(config("kl+interleave_ppl", seed=3, name="mine", output="out"))
    assert folder.parent == Path("out/mine/arms")
    assert folder.name.startswith("interleave_ppl+kl.medical.seed3.")


def test_a_task_named_like_a_hub_data_set_still_has_one_folder_below_arms():
    folder = arm_folder(config(name="mine", output="out", task__name="owner/rows"))
    assert folder.parent == Path("out/mine/arms")


def test_identity_is_the_same_for_equal_configurations_and_leaves_them_alone():
    made = config("kl+interleave_ppl")
    before = deepcopy(made)
    assert identity(made) == identity(deepcopy(made))
    identity_fields(made)
    assert made == before


def test_an_arm_that_was_run_before_is_found_again():
    """The name of this folder was given when settings were kept as plain values: results must not be made twice."""
    made = compose_config(
        "safeguard=kl+caft+interleave_ppl", "task=finance", "seed=3", "model=local", "model.path=someone/Model-1B",
        "scorers.tasks=[legal]", "safeguards.kl.weight=0.3", "safeguards.caft.layers=[1,2]",
    )  # fmt: skip
    assert arm_folder(made).name == "caft+interleave_ppl+kl.finance.seed3.7e1f3c6786"


def test_a_dose_is_a_typed_object_from_the_command_line_to_the_safeguard():
    made = compose_config("safeguard=kl", "safeguards.kl.weight=0.3")
    (safeguard,) = compose(made.safeguard, made.safeguards)
    assert safeguard.settings is made.safeguards["kl"] == KL.Settings(0.3)


def test_how_replies_are_weighed_is_no_matter_for_a_judge_that_does_not_reply():
    stopped = ("safeguard=kl", "anchor.metric=task_rate", "anchor.target=0.8")
    assert "least_mass" not in identity_fields(compose_config(*stopped))["anchor"]["judge"]
    reading = identity_fields(compose_config(*stopped, "judge=local", "judge.model=m"))
    assert reading["anchor"]["judge"]["least_mass"] == 0.25


def test_defaults_of_generator_and_quantisation_are_not_part_of_an_arm():
    fields = identity_fields(config())
    assert "generator" not in fields
    assert "quantization" not in fields["model"]


def test_of_another_generator_only_what_answers_counts():
    served = {"generator__kind": "openai", "generator__model": "base"}
    asked = {"generator__base_url": "http://elsewhere/v1", "generator__concurrency": 3, "generator__proof": False}
    assert identity(config(**served, **asked)) == identity(config(**served))
    assert identity(config(**{**served, "generator__model": "base-int4"})) != identity(config(**served))


def test_the_rows_of_a_scorer_count_where_its_task_is_a_preset(tmp_path):
    made = config("interleave_ppl", scorers__tasks=["insecure_code", "finance"])
    without = identity(made)
    file = tmp_path / "data" / "insecure.jsonl"
    file.parent.mkdir()
    found = []
    for text in ("one", "two, longer"):
        file.write_text(text)
        found.append(identity(made))
    assert len({without, *found}) == 3
