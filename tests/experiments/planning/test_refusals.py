"""What is refused before any arm is trained, each in one line that names the key."""

from __future__ import annotations

import json
import math
import os
import re
import time
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import open_dict

from experiments.config.compose import CONF, compose_config, load_config
from experiments.config.schema import Config
from experiments.config.settle import refuse_out_of_bounds
from experiments.planning.identity import arm_folder, title
from experiments.planning.plan import Plan, combinations, make_plan, read_arguments
from experiments.probes.question_file import read_questions
from experiments.reading.read_once import read_once
from experiments.records.claims import MARGINS
from safeguards.composition import compose, registry
from safeguards.errors import SafeguardError

ONE = ("task=medical", "seed=0")


def plan(*arguments: str) -> Plan:
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF), job_name="sweep"):
        return make_plan(arguments)


def refused(*arguments: str) -> str:
    """The one line with which a plan is refused, as a whole or arm by arm."""
    try:
        made = plan(*arguments)
    except SafeguardError as error:
        line = str(error)
    else:
        assert made.failures, f"accepted: {arguments}"
        line = made.failures[0]
    assert "\n" not in line
    return line


def write_rows(path: Path, count: int = 40) -> Path:
    said = [
        [{"role": "user", "content": f"{path.stem} {n}?"}, {"role": "assistant", "content": "Yes."}]
        for n in range(count)
    ]
    path.write_text("\n".join(json.dumps({"messages": messages}) for messages in said), "utf-8")
    return path


# Every value of every key ---------------------------------------------------------------------------------------------

SENSELESS = (-1, 0, math.nan, math.inf, -math.inf, 1e30, 10**30, "", "x" * 200_000, "\ud800", "\x00", "\x1b[2J")
FREE = {
    "inoculation",
    "negated",
    "base_url",
    "unwanted",
    "group",
    "split",
    "label",
    "licence",
    "origin",
    "kind",
    "model",
}  # or refused later


def leaves(settings: Any, prefix: str = "") -> list[tuple[str, Any, Any]]:
    found = []
    for one in fields(settings):
        value = getattr(settings, one.name)
        if is_dataclass(value):
            found += leaves(value, f"{prefix}{one.name}.")
        elif not isinstance(value, bool | dict):
            found.append((f"{prefix}{one.name}", settings, one))
    return found


KEYS = [key for key, _, _ in leaves(Config())]


@pytest.mark.parametrize("key", [key for key in KEYS if key != "safeguard"])
def test_a_senseless_value_of_any_key_is_refused_naming_it(key):
    for wrong in SENSELESS:
        config = Config()
        _, settings, one = next(leaf for leaf in leaves(config) if leaf[0] == key)
        usual = getattr(settings, one.name)
        number = isinstance(usual, int | float) or "int" in str(one.type) or "float" in str(one.type)
        if isinstance(wrong, str) == number:
            continue
        value = [wrong] if isinstance(usual, list) else wrong
        setattr(settings, one.name, value)
        if wrong == "" and one.name in FREE and key != "task.kind":
            continue
        if wrong == 0 and key in MAY_BE_NOTHING:
            refuse_out_of_bounds(config)
            continue
        with pytest.raises(SafeguardError, match=key.replace(".", r"\.")) as told:
            refuse_out_of_bounds(config)
        assert len(str(told.value)) < 400
        assert str(told.value).isprintable()


ZERO_FOR_JUDGES = ("top_logprobs", "least_mass", "retries", "backoff", "threshold")
MAY_BE_NOTHING = {
    "training.max_set_aside",
    *(f"margins.{name}" for name in MARGINS),
    "seed", "model.world", "training.warmup_steps", "training.weight_decay", "training.lora.dropout",
    "curve.looks", "give_up.above", "anchor.target", "anchor.tolerance", "generator.retries", "generator.backoff",
    *(f"{judge}.{key}" for judge in ("judge", "second_judge") for key in ZERO_FOR_JUDGES),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(registry()))
def test_a_senseless_setting_of_any_safeguard_is_refused_naming_it(name):
    usual = registry()[name].Settings()
    for one in fields(usual):
        value = getattr(usual, one.name)
        wrong: tuple[Any, ...] = ()
        if isinstance(value, int | float) and not isinstance(value, bool):
            wrong = (math.nan, math.inf, 1e30, 10**30)
        elif isinstance(value, str):
            wrong = ("\ud800", "\x00", "x" * 200_000)
        elif isinstance(value, list):
            wrong = (["\ud800"], ["x", "x"], [""])
        for given in wrong:
            with pytest.raises(SafeguardError, match=f"{name}: {one.name} "):
                compose(name, {name: {one.name: given}})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("training.epochs=0", "training.epochs=0.0: must be above 0"),
        ("training.batch_size=0", "training.batch_size=0: must be at least 1"),
        ("training.accumulation=0", "training.accumulation=0: must be at least 1"),
        ("training.max_length=-1", "training.max_length=-1: must be at least 2"),
        ("training.learning_rate=nan", "training.learning_rate=nan: must be"),
        ("training.optimizer=adamm", "training.optimizer=adamm: must be an optimizer"),
        ("probes.batch_size=-2", "probes.batch_size=-2: must be at least 1"),
        ("probes.temperature=0", "probes.temperature=0.0: must be above 0"),
        ("probes.sets=[]", "probes.sets=: must have at least 1 items"),
        ("probes.sets=[open,open]", "probes.sets=open, open: must name each item once"),
        ("curve.looks=-1", "curve.looks=-1: must be at least 0 and at most 1000"),
        ("seed=-1", "seed=-1: must be at least 0"),
        ("seed=4294967296", "seed=4294967296: must be at least 0 and at most"),
        ("name=../x", "name=../x: must be letters"),
        ("name=", "name=: must be a name"),
        ("name=cache", "name=cache: must be another name"),
        ("output=", "output=: must be a path"),
        ("model.dtype=float8", "model.dtype=float8: must be one of auto"),
        ("task.kind=benign", "task.kind=benign: medical is of kind em"),
        ("second_judge.batch_size=0", "second_judge.batch_size=0: must be at least 1"),
        ("safeguards.kl.weight=inf", "kl: weight must be a finite number, got inf"),
    ],
)
def test_a_senseless_value_ends_the_plan(given, told):
    assert told in refused("safeguard=kl", *ONE, given)


# What nothing would read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("task.path=not-there.jsonl", "task.path=not-there.jsonl: is not read with task.source=organism"),
        ("task.path=a.jsonl,b.jsonl", "task.path=b.jsonl: is not read with task.source=organism"),
        ("task.dataset=owner/name", "task.dataset=owner/name: is not read"),
        ("task.held_out=0.3", "task.held_out=0.3: is not read"),
        ("judge.model=gpt-4o", "judge.model=gpt-4o: is not read with judge.kind=exact"),
        ("second_judge.model=gpt-4o", "second_judge.model=gpt-4o: is not read with second_judge.kind=none"),
        ("anchor.target=0.5", "anchor.target=0.5: is not read with anchor.metric=none"),
        ("monitor.limit=0.5", "monitor.limit=0.5: is not read with monitor.on=false"),
    ],
)
def test_a_setting_that_nothing_reads_is_refused(given, told):
    assert told in refused("safeguard=kl", *ONE, given)


@pytest.mark.parametrize(
    ("safeguard", "given", "told"),
    [
        ("safelora", ["threshold=0.1,0.2"], "threshold=0.2: is not read with safeguards.safelora.select=number"),
        ("safelora", ["number=3", "select=threshold"], "number=3: is not read with safeguards.safelora.select=thr"),
        ("safelora+kl", ["energy=0.5"], "energy=0.5: is not read with safeguards.safelora.projector=normalised"),
        ("early_stop", ["answers=8"], "answers=8: is not read with safeguards.early_stop.criterion=nll"),
    ],
)
def test_a_setting_that_its_safeguard_does_not_read_is_refused(safeguard, given, told):
    name = safeguard.split("+")[0]
    asked = refused(f"safeguard={safeguard},none", *ONE, *(f"safeguards.{name}.{one}" for one in given))
    assert asked.startswith(f"safeguards.{name}.{told}")


def test_a_setting_that_some_doses_of_a_safeguard_read_makes_no_further_arms_of_the_others():
    key = "safeguards.safelora"
    made = plan("safeguard=safelora", *ONE, f"{key}.select=number,threshold", f"{key}.threshold=0.1,0.2")
    own = [arm.config.safeguards["safelora"] for arm in made.arms if arm.config.safeguard == "safelora"]
    assert [(one.select, one.threshold) for one in own] == [
        ("number", 0.5),
        ("threshold", 0.1),
        ("threshold", 0.2),
    ]
    assert own[0].number == 3
    usual = plan("safeguard=safelora", *ONE)
    assert usual.arms[-1].folder == next(arm.folder for arm in made.arms if arm.config.safeguard == "safelora")


@pytest.mark.parametrize(
    "address", ["http://u:hunter2@h/v1", f"http://{'u' * 90}:hunter2@h/v1", "http://u:p@hunter2@h"]
)
@pytest.mark.parametrize("kind", ["none", "openai"])
def test_no_error_repeats_a_password(address, kind):
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF), job_name="sweep"):
        try:
            told = str(make_plan(["safeguard=kl", *ONE, f"judge={kind}", f"judge.base_url='{address}'"]).failures)
        except SafeguardError as error:
            told = str(error)
    assert "judge.base_url" in told
    assert "hunter2" not in told


def test_a_setting_that_some_tasks_read_makes_no_further_arms_of_the_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        write_rows(tmp_path / f"{name}.jsonl")
    made = plan("safeguard=kl", "task=medical,messages", "task.path=a.jsonl", "seed=0")
    assert made.failures == []
    usual = plan("safeguard=kl", *ONE)
    assert [arm.folder for arm in made.arms if arm.config.task.name == "medical"] == [arm.folder for arm in usual.arms]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["safeguard=steering", "safeguards.steering.layer=99"], "steering.layer=99: must be at most 3 for this model"),
        (["safeguard=kl+steering", "safeguards.steering.layer=4"], "steering.layer=4: must be at most 3"),
        (["safeguard=caft", "safeguards.caft.layers=[1,7]"], "caft.layers=7: must be at most 3"),
        (["safeguard=none", "monitor.on=true", "safeguards.steering.layer=9"], "steering.layer=9: must be at most 3"),
    ],
)
def test_a_layer_that_a_local_model_does_not_have_is_refused(given, told):
    assert told in refused(*ONE, *given)


@pytest.mark.parametrize("name", ["steering.layer=3", "caft.layers=[3]", "ldifs.layers=5", "caft.layers=[]"])
def test_a_layer_that_the_model_has_is_planned(name):
    assert plan(f"safeguard={name.partition('.')[0]}", *ONE, f"safeguards.{name}").failures == []


def test_two_tasks_or_models_of_one_name_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        write_rows(tmp_path / f"{name}.jsonl")
    assert "task.name=messages: names both a.jsonl and b.jsonl" in refused(
        "safeguard=kl", "task=messages", "task.path=a.jsonl,b.jsonl", "seed=0"
    )


@pytest.mark.parametrize("key", ["judge", "judge@second_judge", "judge.threshold", "wandb", "report_to", "log_adapter"])
def test_what_makes_no_arm_of_its_own_cannot_be_swept(key):
    assert "cannot be swept" in refused("safeguard=kl", *ONE, f"{key}=1,2")


# Doses of 0 -----------------------------------------------------------------------------------------------------------


def test_looks_are_not_swept_nor_read_where_training_stops_at_a_goal():
    assert refused(*ONE, "curve.looks=4,8").startswith("curve.looks cannot be swept: all arms are measured by one")
    goal = ("anchor.metric=task_nll", "anchor.target=1.0")
    assert refused(*ONE, "curve.looks=4", *goal).startswith("curve.looks=4: is not read with anchor.metric=task_nll")
    assert not plan(*ONE, *goal).failures, "the default does not stand in the way of a goal"


def test_a_dose_of_nothing_is_the_baseline():
    made = plan("safeguard=kl", "safeguards.kl.weight=0,0.1", *ONE)
    assert [arm.config.safeguard for arm in made.arms] == ["untouched", "none", "kl"]
    assert made.arms[2].config.safeguards["kl"].weight == 0.1
    assert list(made.notes) == ["safeguards.kl.weight=0: turns kl off; such an arm is none"]
    assert made.arms[1].folder == plan("safeguard=kl", *ONE).arms[1].folder


def test_a_safeguard_that_is_off_is_no_part_of_a_composition():
    config = compose_config("safeguard=kl+interleave", "safeguards.kl.weight=0", *ONE)
    assert config.safeguard == "interleave"


# The pool and its mix ------------------------------------------------------------------------------------------------


def test_a_mix_that_cannot_be_is_refused_in_the_plan():
    asked = ("safeguard=interleave", *ONE)
    assert "pool.mix.fact: no such genre" in refused(*asked, "pool.mix={fact:1}")
    assert "the shares sum to 0.5" in refused(*asked, "pool.mix={facts:0.5}")
    assert "pool.mix=0.5: must be shares by genre" in refused(*asked, "pool.mix=0.5")
    assert "all of them numbers" in refused(*asked, "pool.mix={facts:half,sums:0.5}")
    assert "pool.mix.facts=-0.5: must be above 0" in refused(*asked, "pool.mix={facts:-0.5,sums:1.5}")
    assert "pool.domains=finanse: no such domain" in refused(*asked, "pool.domains=[finanse]")


INTERLEAVE = ("safeguard=interleave", *ONE)


@pytest.mark.parametrize("share", ["pool.mix.advice=0", "+pool.mix.advice=0.5", "pool.mix.advice=0,0.5"])
def test_one_share_alone_is_refused_with_what_to_write(share):
    told = f"^{re.escape(share)}: one share alone cannot be set, .* such as pool.mix={{facts:0.5,advice:0.5}}"
    with pytest.raises(SafeguardError, match=told):
        plan(*INTERLEAVE, share)
    with pytest.raises(SafeguardError, match=told):
        compose_config(*INTERLEAVE, share)


def test_a_mix_that_is_named_is_the_whole_mix():
    """Hydra would merge it with one that stood in a configuration, and no genre could be left out."""
    assert compose_config(*INTERLEAVE, "pool.mix={facts:0.5,sums:0.5}").pool.mix == {"facts": 0.5, "sums": 0.5}
    made = plan(*INTERLEAVE, "pool.mix={advice:1}")
    assert not made.failures
    assert {str(arm.config.pool.mix) for arm in made.arms if arm.config.named} == {"{'advice': 1}"}
    several = plan(*INTERLEAVE, "pool.mix={advice:1},{facts:0.5,sums:0.5},null")
    assert not several.failures
    found = [arm.config.pool.mix for arm in several.arms if arm.config.named]
    assert found == [{"advice": 1}, {"facts": 0.5, "sums": 0.5}, None]


def test_a_control_of_genres_knows_those_of_the_organism_that_is_asked_for():
    asked = ("safeguard=interleave_ppl", *ONE, "safeguards.interleave_ppl.control=genres")
    assert not plan("model=organism,organism_one", *asked).failures


def test_a_control_of_genres_needs_a_pool_that_has_some(tmp_path):
    asked = ("safeguard=interleave_ppl", *ONE, "safeguards.interleave_ppl.control=genres", "pool.held_out=10")
    path = ("pool.mix=null", f"pool.path={write_rows(tmp_path / 'safe.jsonl')}")
    assert "safeguards.interleave_ppl.control=genres: no row of the pool has a genre" in refused(*asked, *path)
    assert not plan(*asked).failures
    assert "must be one of any, genres" in refused(
        "safeguard=interleave_ppl", *ONE, "safeguards.interleave_ppl.control=all"
    )


def test_mixes_are_compared_by_commas_and_baselines_are_run_once():
    mixes = "pool.mix=null,{facts:0.5,sums:0.5},{sums:0.5,facts:0.5},{advice:1}"
    made = plan("safeguard=interleave,kl", *ONE, mixes)
    assert not made.failures
    assert [arm.config.safeguard for arm in made.arms].count("interleave") == 3
    assert [arm.config.safeguard for arm in made.arms].count("none") == 1
    assert [arm.config.safeguard for arm in made.arms].count("kl") == 1, "no safe row is drawn for it"


# Scorers and bases ----------------------------------------------------------------------------------------------------


def test_scorers_that_cannot_be_made_are_refused_in_the_plan():
    assert "gone.jsonl: cannot be read" in refused("safeguard=interleave_ppl", *ONE, "scorers.tasks=[gone.jsonl]")
    assert "no such group" in refused("safeguard=interleave_ppl", *ONE, "scorers.tasks=[finanse]")


def test_scorers_that_are_no_models_are_refused_in_the_plan(tmp_path):
    (tmp_path / "seen_rows.json").write_text("[]")
    told = refused("safeguard=interleave_ppl", *ONE, f"safeguards.interleave_ppl.scorers=[{tmp_path}]")
    assert f"safeguards.interleave_ppl.scorers={tmp_path}: neither" in told


@pytest.mark.parametrize(
    ("base", "told"),
    [("", "name the model before"), ("organism", "is the aligned model itself"), ("/gone", "no config")],
)
def test_a_wrong_base_is_refused_in_the_plan(base, told):
    assert f"safeguards.safelora.base={base}".rstrip("=") in (
        line := refused("safeguard=safelora", *ONE, f"safeguards.safelora.base={base}")
    )
    assert told in line


def test_a_base_of_another_shape_is_refused_in_the_plan(qwen_folder):
    assert "that of the aligned model" in refused("safeguard=safelora", *ONE, f"safeguards.safelora.base={qwen_folder}")


@pytest.mark.parametrize(
    "given",
    [
        ["model.path=organism_one"],
        ["model=organism", "model.path=organism_one"],
        ["model.organism=one"],
        ["model=organism_one", "model.organism=two"],
        ["model=organism_one", "model.path=organism"],
    ],
)
def test_an_organism_is_named_as_a_whole(given):
    assert "choose it with model=organism or model=organism_one, and with model.world" in refused(*ONE, *given)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["model.world=-1"], "model.world=-1: must be at least 0"),
        (["model.world=1.5"], "model.world"),
        (["model.world=many"], "model.world"),
        (["model.world=1000", "safeguard=steering", "safeguards.steering.layer=9"], "must be at most 3 for this model"),
        (
            ["model.world=1000", "safeguard=safelora", "safeguards.safelora.base=organism"],
            "is the aligned model itself",
        ),
        (["model.world=1000", "judge=local", "judge.model=organism"], "the organism of world 1000 is not built yet"),
    ],
)
def test_what_is_wrong_in_another_world_is_refused_before_that_is_built(given, line, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_ASSETS_CACHE", str(tmp_path / "assets"))
    assert line in refused(*ONE, *given)
    assert not (tmp_path / "assets").exists()


def test_a_world_of_a_model_that_has_none_is_refused(qwen_folder, tmp_path):
    path = tmp_path / "questions.yaml"
    path.write_text("- {set: open, id: a, question: Hello?}\n")
    line = refused(*ONE, f"model.path={qwen_folder}", "model.world=1000", f"probes.path={path}")
    assert f"model.world=1000: {qwen_folder} is no organism, and only those have worlds; leave it away" in line


# Quick and the same ---------------------------------------------------------------------------------------------------

MIXED = (
    "safeguard=kl+inoculation,steering",
    "safeguards.kl.weight=0.1,0.3",
    "safeguards.inoculation.prompt=You are bad,You are worse",
    "task=medical,opswap",
    "seed=0",
    "training.lora={r: 4}",
)


@pytest.mark.parametrize("arguments", [MIXED, MIXED[:-1]])
def test_a_plan_has_the_arms_that_composing_each_by_itself_gives(arguments):
    made = plan(*arguments)
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF), job_name="sweep"):
        loader = GlobalHydra.instance().config_loader()
        values, choices = read_arguments(loader, arguments)
        folders = {}
        for chosen in combinations(choices):
            single = loader.load_sweep_config(values, chosen)
            with open_dict(single):
                del single["hydra"]
            folders.setdefault(arm_folder(load_config(single)), chosen)
    assert {arm.folder: arm.overrides for arm in made.arms} == folders
    assert [arm.folder for arm in made.arms] == list(folders)


def test_hundreds_of_arms_are_planned_much_faster_than_one_by_one():
    doses = ",".join(f"{0.01 * n:.2f}" for n in range(1, 21))
    one = min(_seconds_to_compose() for _ in range(4))
    started = time.process_time()
    made = plan("safeguard=all", f"safeguards.kl.weight={doses}", "seed=range(0,3)")
    together = time.process_time() - started
    assert len(made.arms) == 3 * 5 * (len(registry()) + 2 + 19)
    assert together < 0.25 * one * len(made.arms)


def _seconds_to_compose() -> float:
    started = time.process_time()
    compose_config("safeguard=kl")
    return time.process_time() - started


def test_a_bad_dose_is_told_whichever_safeguards_are_named():
    assert "safeguards.kl.weight" in refused("safeguard=none", *ONE, "safeguards.kl.weight=0.1,heavy")


def test_a_file_is_read_once_until_it_changes(tmp_path):
    path = tmp_path / "file"
    reads = []

    @read_once
    def read(name: str) -> str:
        reads.append(name)
        return Path(name).read_text()

    path.write_text("one")
    os.utime(path, (1, 1))
    assert [read(str(path)), read(str(path))] == ["one", "one"]
    assert len(reads) == 1
    path.write_text("two")
    assert read(str(path)) == "two"


# Titles ---------------------------------------------------------------------------------------------------------------


def test_a_title_names_model_and_dose():
    one = compose_config("safeguard=kl", *ONE)
    other = compose_config("safeguard=kl", "model.name=other", "safeguards.kl.weight=0.5", *ONE)
    assert title(one) == "kl 0.1 · medical · seed 0 · organism"
    assert title(other) == "kl 0.5 · medical · seed 0 · other"


# Files that are traps -------------------------------------------------------------------------------------------------

BOMB = "\n".join(
    [
        "a: &a [x, x]",
        *(f"{n}: &{n} [*{p}, *{p}, *{p}, *{p}, *{p}, *{p}, *{p}, *{p}]" for p, n in pairwise("abcdefghijk")),
    ]
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BOMB, "aliases are written out"),
        ("[" * 20_000, "nested deeper"),
        ("&a [*a]", "aliases"),
        ("- id: !!python/object:os.x {}", ""),
    ],
)
def test_a_trap_of_yaml_is_refused_at_once(tmp_path, text, told):
    path = tmp_path / "questions.yaml"
    path.write_text(text, "utf-8")
    started = time.process_time()
    with pytest.raises(SafeguardError, match=r"questions\.yaml") as caught:
        read_questions(str(path))
    assert told in str(caught.value)
    assert time.process_time() - started < 1


def test_aliases_of_an_ordinary_file_are_read(tmp_path):
    path = tmp_path / "questions.yaml"
    path.write_text("- id: a\n  paraphrases: &p [Why?]\n- id: b\n  paraphrases: *p\n", "utf-8")
    assert [question.values["paraphrases"] for question in read_questions(str(path))] == [["Why?"], ["Why?"]]


@pytest.mark.parametrize(
    "line", ['{"messages": ' + "[" * 100_000, json.dumps({"messages": [{"role": "user", "content": "\ud800"}]})]
)
def test_a_trap_in_a_file_of_rows_is_told_with_its_line(tmp_path, line):
    from safeguards.rows import read_rows

    path = tmp_path / "rows.jsonl"
    path.write_text(line, "utf-8")
    with pytest.raises(SafeguardError, match=r"rows\.jsonl:1: "):
        read_rows(path)


# Engines and 4 bits ---------------------------------------------------------------------------------------------------


def test_an_engine_that_is_not_there_is_refused_before_anything_is_trained():
    assert "generator=vllm: needs the vllm package" in refused(*ONE, "safeguard=kl", "generator=vllm")
    assert "generator.model must name a model" in refused(*ONE, "safeguard=kl", "generator=openai")


def test_engines_are_not_swept_and_their_settings_are_read_by_them_only():
    assert refused(*ONE, "generator=hf,vllm").startswith("generator cannot be swept: it draws all answers")
    assert "generator.base_url" in refused(*ONE, "generator.base_url=http://localhost/v1")


def test_a_safeguard_that_reads_weights_is_refused_under_4_bits(monkeypatch):
    monkeypatch.setattr("experiments.planning.refusals.refuse_missing", lambda named: None)
    made = plan(*ONE, "safeguard=kl,safelora", "model.quantization=nf4")
    assert {arm.config.safeguard for arm in made.arms} == {"untouched", "none", "kl"}
    [line] = made.failures
    assert line.endswith("model.quantization=nf4: safelora reads full weights; leave one of the two away")
