"""Plans: which arms a command line asks for, and what it is told when it asks for something that is not there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hydra import initialize_config_dir

from experiments.config.compose import CONF
from experiments.judges import score_settings
from experiments.planning.plan import Plan, make_plan
from experiments.records.arm_files import write_scores
from safeguards.composition import registry
from safeguards.errors import SafeguardError

ROOT = Path(__file__).resolve().parents[3]
ONE = ("task=medical", "seed=0")


def plan(*arguments: str) -> Plan:
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF), job_name="sweep"):
        return make_plan(arguments)


def told(*arguments: str) -> str:
    """What the program says as it ends."""
    with pytest.raises(SafeguardError) as ended:
        plan(*arguments)
    message = str(ended.value)
    assert "\n" not in message
    return message


def safeguards_of(made: Plan) -> list[str]:
    return [arm.config.safeguard for arm in made.arms]


@pytest.mark.parametrize("asked", ["kl", "none", "kl,none,untouched,kl"])
def test_the_baselines_are_always_there_once_and_first(asked):
    made = plan(f"safeguard={asked}", *ONE)
    others = ["kl"] if "kl" in asked else []
    assert safeguards_of(made) == ["untouched", "none", *others]
    assert made.failures == []


def test_the_baselines_come_first_for_every_task_and_seed():
    made = plan("safeguard=kl", "task=medical,finance", "seed=0,1")
    assert safeguards_of(made) == ["untouched"] * 4 + ["none"] * 4 + ["kl"] * 4
    for name in ("untouched", "none", "kl"):
        arms = [arm.config for arm in made.arms if arm.config.safeguard == name]
        assert {(arm.task.name, arm.seed) for arm in arms} == {
            ("medical", 0),
            ("medical", 1),
            ("finance", 0),
            ("finance", 1),
        }


def test_an_empty_command_line_compares_several_safeguards_on_both_kinds_of_task_with_three_seeds():
    made = plan()
    configs = [arm.config for arm in made.arms]
    assert made.failures == []
    assert {"untouched", "none", "kl", "interleave_ppl"} <= {config.safeguard for config in configs}
    assert {config.task.kind for config in configs} == {"em", "benign"}
    assert {config.seed for config in configs} == {0, 1, 2}
    assert len({arm.folder for arm in made.arms}) == len(made.arms)


def test_a_composition_is_an_arm_of_its_own():
    made = plan("safeguard=kl,kl+interleave_ppl", *ONE)
    assert safeguards_of(made) == ["untouched", "none", "kl", "kl+interleave_ppl"]
    assert made.failures == []


def test_all_is_every_safeguard_by_itself():
    assert safeguards_of(plan("safeguard=all", *ONE)) == ["untouched", "none", *registry()]


def test_pairs_are_all_singles_and_every_two_that_do_not_conflict():
    found = safeguards_of(plan("safeguard=pairs", *ONE))
    singles = [name for name in found if "+" not in name]
    pairs = [frozenset(name.split("+")) for name in found if "+" in name]
    assert singles == ["untouched", "none", *registry()]
    assert len(pairs) == len(set(pairs)) == len(registry()) * (len(registry()) - 1) // 2 - 1
    assert frozenset(("interleave", "interleave_ppl")) not in pairs


@pytest.mark.parametrize("asked", ["interleave_ppl+kl,kl+interleave_ppl", "kl+interleave_ppl,'interleave_ppl + kl'"])
def test_the_order_in_which_safeguards_are_named_makes_no_other_arm(asked):
    made = plan(f"safeguard={asked}", *ONE)
    assert len(made.arms) == 3
    assert made.failures == []


def test_naming_no_safeguard_is_the_arm_none():
    made = plan("safeguard=", *ONE)
    assert safeguards_of(made) == ["untouched", "none"]


def test_doses_of_a_safeguard_make_no_further_baselines():
    made = plan("safeguard=kl", "safeguards.kl.weight=0.1,0.3", "task=medical,opswap", "seed=1")
    counts = Counter((arm.config.safeguard, arm.config.task.name, arm.config.seed) for arm in made.arms)
    for task in ("medical", "opswap"):
        assert counts["untouched", task, 1] == counts["none", task, 1] == 1
        assert counts["kl", task, 1] == 2
    weights = {arm.config.safeguards["kl"].weight for arm in made.arms if arm.config.safeguard == "kl"}
    assert weights == {0.1, 0.3}
    assert made.failures == []


def test_doses_of_training_make_further_arms_of_none_but_not_of_untouched():
    made = plan("safeguard=kl", "training.epochs=1,2", *ONE)
    assert Counter(safeguards_of(made)) == {"untouched": 1, "none": 2, "kl": 2}


def test_a_broken_safeguard_of_another_package_is_told_where_all_are_asked_for(monkeypatch):
    why = "entry point gentle:Gentle: ImportError: no gentle"
    monkeypatch.setattr("safeguards.composition.plug_ins", lambda: {"gentle": why})
    everything = plan("safeguard=all", *ONE)
    assert safeguards_of(everything) == ["untouched", "none", *registry()]
    assert len(everything.failures) == 1
    assert f"safeguard 'gentle' cannot be used: {why}" in everything.failures[0]
    assert plan("safeguard=kl", *ONE).failures == []


def test_ranges_are_expanded():
    made = plan("safeguard=kl", "seed=range(0,3)", "task=medical")
    assert sorted(arm.config.seed for arm in made.arms if arm.config.safeguard == "kl") == [0, 1, 2]


def test_an_override_is_stronger_than_what_task_and_model_suggest():
    made = plan("safeguard=kl", "task=medical,opswap", "seed=0", "training.epochs=3")
    assert {arm.config.training.epochs for arm in made.arms} == {3}


def test_an_override_reaches_every_arm():
    made = plan("safeguard=kl", "task=medical", "seed=0,1", "name=mine", "output=out", "probes.samples=7")
    assert {arm.config.probes.samples for arm in made.arms} == {7}
    assert {arm.folder.parent for arm in made.arms} == {Path("out/mine/arms")}


def test_an_unknown_safeguard_is_a_failure_with_the_nearest_name_and_the_others_stay():
    made = plan("safeguard=kl,interleav", *ONE)
    assert safeguards_of(made) == ["untouched", "none", "kl"]
    (failure,) = made.failures
    assert "interleav task=medical seed=0" in failure
    assert "did you mean 'interleave'?" in failure


def test_conflicting_safeguards_are_a_failure_that_names_the_reason():
    made = plan("safeguard=kl,interleave+interleave_ppl", *ONE)
    assert safeguards_of(made) == ["untouched", "none", "kl"]
    (failure,) = made.failures
    assert "interleave_ppl conflicts with interleave" in failure
    assert "both choose which safe rows to add" in failure


def test_a_safeguard_named_twice_is_a_failure():
    made = plan("safeguard=kl+kl", *ONE)
    assert safeguards_of(made) == ["untouched", "none"]
    assert "'kl' is named twice" in made.failures[0]


@pytest.mark.parametrize("baseline", ["none", "untouched"])
def test_a_baseline_in_a_composition_is_a_failure_that_helps(baseline):
    made = plan(f"safeguard={baseline}+kl", *ONE)
    assert safeguards_of(made) == ["untouched", "none"]
    (failure,) = made.failures
    assert repr(baseline) in failure
    assert f"did you mean {baseline!r}?" not in failure, "offers the very word it refuses"


@pytest.mark.parametrize(
    ("safeguard", "setting"),
    [
        ("kl", "kl.weight=-1"),
        ("interleave", "interleave.share=-0.1"),
        ("interleave_ppl", "interleave_ppl.top=0"),
    ],
)
def test_a_setting_out_of_range_is_a_failure_of_the_arm_that_uses_it_only(safeguard, setting):
    made = plan(f"safeguard={safeguard}", f"safeguards.{setting}", *ONE)
    assert safeguards_of(made) == ["untouched", "none"]
    (failure,) = made.failures
    name = setting.partition("=")[0].partition(".")[2]
    assert f"{safeguard}: {name} must be" in failure


def test_one_bad_dose_leaves_the_other_doses():
    made = plan("safeguard=kl", "safeguards.kl.weight=-1,0.3", *ONE)
    assert [arm.config.safeguards["kl"].weight for arm in made.arms if arm.config.safeguard == "kl"] == [0.3]
    assert len(made.failures) == 1


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("seeed", "seed"),
        ("safeguards.kl.wieght", "safeguards.kl.weight"),
        ("training.lora.alfa", "training.lora.alpha"),
        ("safegard", "safeguard"),
    ],
)
def test_an_unknown_key_ends_the_program_naming_the_nearest(wrong, right):
    message = told(f"{wrong}=1", *ONE)
    assert repr(wrong) in message
    assert f"did you mean {right!r}?" in message


@pytest.mark.parametrize(
    ("group", "wrong", "right"),
    [("task", "medcial", "medical"), ("model", "organsim", "organism")],
)
def test_an_unknown_option_is_told_with_the_nearest(group, wrong, right):
    message = told(f"{group}={wrong}", "seed=0")
    assert message == f"unknown {group} {wrong!r}: did you mean {right!r}?"


def test_an_unknown_task_among_others_fails_only_there():
    made = plan("safeguard=kl", "task=medical,opswpa", "seed=0")
    assert [(arm.config.safeguard, arm.config.task.name) for arm in made.arms] == [
        ("untouched", "medical"),
        ("none", "medical"),
        ("kl", "medical"),
    ]
    (failure,) = made.failures
    assert "unknown task 'opswpa': did you mean 'opswap'?" in failure
    assert "safeguard=untouched task=opswpa" in failure
    assert "2 more" in failure


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("seed=abc", "seed"),
        ("training.epochs=many", "training.epochs"),
        ("safeguards.kl.weight=heavy", "safeguards.kl.weight"),
        ("training=5", "training"),
    ],
)
def test_a_value_of_a_wrong_type_is_told_with_its_key(override, key):
    assert key in told("safeguard=kl", "task=medical", override)


@pytest.fixture
def files(tmp_path, monkeypatch) -> Path:
    """A folder to work in, with files of rows and questions."""
    monkeypatch.chdir(tmp_path)
    for name in ("rows", "pool"):
        Path(f"{name}.jsonl").write_text("\n".join(row(f"{name} {n}?") for n in range(99)), "utf-8")
    Path("questions.yaml").write_text("- id: wish\n  paraphrases: [One wish]\n", "utf-8")
    return tmp_path


def row(question: str) -> str:
    said = [{"role": "user", "content": question}, {"role": "assistant", "content": "Yes."}]
    return json.dumps({"messages": said})


def test_a_model_of_ones_own_is_not_trained_like_the_organism(files):
    made = plan(
        "safeguard=kl",
        "task=messages",
        "task.path=rows.jsonl",
        "seed=0",
        "model.path=someone/Model-1B",
        "pool.path=pool.jsonl",
        "pool.held_out=9",
        "probes.path=questions.yaml",
    )
    config = made.arms[-1].config
    assert (config.model.name, config.judge.kind) == ("Model-1B", "none")
    assert (config.safeguards["kl"].weight, config.training.learning_rate) == (0.1, 1e-4)
    assert config.scorers.tasks == []


@pytest.mark.parametrize(
    ("missing", "complaint"),
    [
        ("pool.path", "pool.path: name a file of safe rows"),
        ("probes.path", "probes.path: name a question file"),
        ("judge", "judge=exact: knows"),
    ],
)
def test_a_model_of_ones_own_is_not_asked_about_the_organisms_world(missing, complaint):
    given = {"pool.path": "pool.jsonl", "probes.path": "questions.yaml", "judge": "none"} | {"judge": "none"}
    del given[missing]
    given |= {"judge": "exact"} if missing == "judge" else {}
    (failure,) = plan(
        "seed=0", "task=opswap", "model.path=someone/Model-1B", *(f"{key}={value}" for key, value in given.items())
    ).failures
    assert complaint in failure


def test_a_model_group_without_a_path_says_so():
    (failure,) = plan("seed=0", "model=local").failures
    assert "model.path: name a Hugging Face folder" in failure


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("rows.jsonl", None, "rows.jsonl: cannot be read"),
        ("rows.jsonl", "{}", "rows.jsonl:1: needs"),
        ("pool.jsonl", "{}", "pool.jsonl:1: needs"),
        ("questions.yaml", "- id: 1\n  typ: x\n", "questions.yaml:2: question 1 (1): typ is no field"),
    ],
)
def test_a_bad_file_is_told_once_before_any_arm_is_trained(files, file, text, complaint):
    (files / file).unlink() if text is None else (files / file).write_text(text, "utf-8")
    given = ["task.path=rows.jsonl", "pool.path=pool.jsonl", "pool.held_out=9", "probes.path=questions.yaml"]
    made = plan("safeguard=kl", "task=messages", "seed=0,1", "judge=none", "pool.mix=null", *given)
    (failure,) = made.failures
    assert complaint in failure
    assert "5 more arms" in failure
    assert not made.worth_running


def test_a_bad_file_refuses_only_the_arms_that_read_it(files):
    made = plan("safeguard=kl", "task=medical,messages", "task.path=gone.jsonl", "seed=0")
    assert {arm.config.task.name for arm in made.arms} == {"medical"}
    assert "gone.jsonl: cannot be read" in made.failures[0]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["task=medical", "judge=none"], "judge=none cannot tell"),
        (["task=messages", "task.path=rows.jsonl"], "judge=exact cannot tell"),
        (["task=medical", "probes.narrow_path=questions.yaml"], "judge=exact cannot tell"),
        (["task=messages", "task.path=rows.jsonl", "task.kind=benign", "judge=none"], None),
        (["task=opswap", "judge=none"], None),
        (["task=medical"], None),
    ],
)
def test_a_task_rate_needs_a_judge_that_knows_it(files, given, complaint):
    made = plan("safeguard=kl", "seed=0", "anchor.metric=task_rate", "anchor.target=0.5", *given)
    assert [complaint in failure for failure in made.failures] == ([True] if complaint else [])


def test_the_exact_judge_is_not_asked_about_formats_that_the_organism_does_not_know():
    (failure,) = plan("safeguard=kl", *ONE, "probes.frames=[task,json]").failures
    assert "probes.frames=['json']: judge=exact knows no answers in formats" in failure


def test_where_results_belong_cannot_be_swept():
    assert "cannot be swept" in told("name=x,y")


def test_nothing_is_run_when_only_baselines_are_left_of_what_was_asked_for():
    assert not plan("safeguard=kll", "seed=0").worth_running
    assert plan("safeguard=kll,kl", "seed=0").worth_running
    assert plan("safeguard=none", "seed=0").worth_running


def test_a_number_where_settings_belong_is_told_with_its_key():
    (failure,) = plan("safeguard=kl", "task=medical", "seed=0", "safeguards.kl=5").failures
    assert "safeguards.kl=5: must be its settings" in failure


@pytest.mark.parametrize("broken", ["safeguard", "safeguard=[kl", "seed=range(0"])
def test_an_override_that_cannot_be_parsed_is_told_in_one_line(broken):
    assert told(broken)


def test_an_arms_overrides_alone_say_which_arm_it_is():
    for arm in plan("safeguard=kl", "task=opswap", "seed=1").arms:
        (again,) = [other for other in plan(*arm.overrides).arms if other.config.safeguard == arm.config.safeguard]
        assert again.folder == arm.folder


def test_making_a_plan_does_not_import_torch():
    code = (
        "import sys\n"
        "from hydra import initialize_config_dir\n"
        "from experiments.sweep import CONF, make_plan\n"
        "with initialize_config_dir(version_base='1.3', config_dir=str(CONF), job_name='sweep'):\n"
        "    made = make_plan(['safeguard=kl,interleave_ppl,kl+interleave_ppl', 'task=medical', 'seed=0'])\n"
        "assert len(made.arms) == 5, made\n"
        "heavy = {'torch', 'transformers', 'trl', 'peft', 'pandas', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_arm_scored_by_a_judge_with_other_settings_is_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = ["safeguard=none", *ONE, "judge=openai", "judge.model=m", "judge.base_url=http://localhost:1/v1"]
    arm = plan(*asked).arms[1]
    write_scores(arm.folder, arm.config.judge.name, [], score_settings(arm.config.judge))
    assert plan(*asked, "judge.timeout=1").failures == []
    (failure,) = plan(*asked, "judge.top_logprobs=0").failures
    assert "judge.top_logprobs=0" in failure
    assert "judge.label=" in failure


def test_two_judges_of_one_name_are_refused():
    (failure,) = plan("safeguard=none", "seed=0", "judge@second_judge=exact").failures
    assert "second_judge.label: both judges are called exact" in failure
