"""Searches over made-up arms: what they find, when they stop, what they are told, and how they share their work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_up import MadeUpArms, made_up, rates_of

from experiments.organism.built import build_once, built_folder, recipe_of
from experiments.organism.recipe import RECIPES, Recipe, Stage
from experiments.records.arm_files import ARMS
from experiments.records.measures import BROAD_MISALIGNED
from experiments.records.sweep_file import read_sweep
from experiments.search import search
from experiments.searching.asked import read_asked
from experiments.searching.trials import Trials
from safeguards import SafeguardError

__all__ = ["made_up"]
SHORT = ("task=medical,style", "probes.sets=[other_domains]", "curve.looks=0", "report_to=[]")
CONFIRM = ("confirm.seed=5,6", "confirm.task=cooking,style", "confirm.model.world=0")
NAMES = "safeguard=kl,treft,low_lr"


def run(folder: Path, *more: str, name: str = "s") -> dict:
    search(read_asked([*SHORT, *CONFIRM, f"output={folder}", f"name={name}", *more]))
    return json.loads((folder / name / "search.json").read_text("utf-8"))


def told(folder: Path, *more: str) -> str:
    with pytest.raises(SafeguardError) as ended:
        run(folder, *more)
    assert "\n" not in str(ended.value)
    return str(ended.value)


def test_finds_a_composition_that_meets_all_and_confirms_it_on_other_arms(tmp_path, made_up, capsys):
    found = run(tmp_path, NAMES, "budget=20")
    best = next(each for each in found["tried"] if each["number"] == found["best"])
    assert "treft" in best["safeguard"], "nothing else prevents much at so little cost"
    assert all(by <= 0 for by in best["missed"].values())
    others = [each for each in found["tried"] if not each["given_up"] and all(x <= 0 for x in each["missed"].values())]
    assert best["rates"]["broad_misaligned"] == min(each["rates"]["broad_misaligned"] for each in others)
    assert {each["what"] for each in found["effects"][:3]} & {"treft", "treft.weight × 10"}
    confirmed = found["confirmed"][0]
    assert confirmed["searched"] == found["best"]
    assert set(confirmed["held"]) == {"narrow>=0.8*none", "benign>=0.9*none", "incoherent<=none+0.02"}
    mine = {arm.folder for arm in read_sweep(tmp_path / "s").planned(True)}
    theirs = {arm.folder for arm in read_sweep(tmp_path / "s-confirmed").planned(True)}
    assert not mine & theirs
    assert {arm.seed for arm in read_sweep(tmp_path / "s-confirmed").arms} == {5, 6}
    said = capsys.readouterr().out
    assert f"the best: {found['command']}" in said.replace("\n", "")
    assert found["command"].startswith(f"python -m experiments.sweep safeguard={best['safeguard']} ")


def test_every_safeguard_is_tried_alone_first_at_its_usual_dose(tmp_path, made_up):
    found = run(tmp_path, NAMES, "budget=6")
    first = [(each["safeguard"], each["settings"]) for each in found["tried"]]
    assert first[:3] == [
        ("kl", ["safeguards.kl.weight=0.1"]),
        ("treft", ["safeguards.treft.weight=10"]),
        ("low_lr", ["safeguards.low_lr.factor=0.3"]),
    ]


def test_the_budget_is_kept_and_what_is_hopeless_costs_no_benign_arm(tmp_path, made_up):
    found = run(tmp_path, NAMES, "budget=14")
    assert sum(each["arms"] for each in found["tried"]) <= 14
    low = next(each for each in found["tried"] if each["safeguard"] == "low_lr")
    assert low["arms"] == 1
    assert "narrow>=0.8*none" in low["given_up"], "it learns 30 % of the task"
    assert "benign_accuracy" not in low["rates"]
    given_up = [each for each in found["tried"] if "given up at step" in each["given_up"]]
    assert all(each["rates"]["broad_misaligned"] > 0.4 for each in given_up), "what it let through by then is known"
    assert given_up, "kl lets more through than half-way from treft to none"
    done = {path.parent.name for path in (tmp_path / "s" / ARMS).glob("*/result.json")}
    assert done == {arm.folder for arm in read_sweep(tmp_path / "s").arms}, "what was given up is in no table"


@pytest.mark.parametrize("meanwhile", [False, True])
def test_worlds_that_confirm_are_built_after_the_search_by_it_or_by_others(tmp_path, made_up, monkeypatch, meanwhile):
    """Their weights are part of the arms' names: what was planned before has other names."""
    quick = Recipe(pretraining=Stage(2, 2, 1e-3, muon=True), alignment=Stage(1, 2, 1e-3))
    monkeypatch.setitem(RECIPES, "two", quick)
    monkeypatch.setattr("huggingface_hub.constants.HF_ASSETS_CACHE", str(tmp_path / "assets"))
    recipe = recipe_of((7, "two"))
    built: list[object] = []

    def build(homes):
        built.append(homes)
        build_once(recipe, built_folder(recipe))

    plain = Trials.begin

    def begins(self, asked):
        if meanwhile:
            build_once(recipe, built_folder(recipe))
        plain(self, asked)

    monkeypatch.setattr("experiments.searching.running.build_worlds", build)
    monkeypatch.setattr(Trials, "begin", begins)
    own = [each for each in CONFIRM if "world" not in each]
    asked = [
        "safeguard=treft",
        "most=1",
        "budget=2",
        "keep=[]",
        "confirm.model.world=7",
        "name=s",
        f"output={tmp_path}",
    ]
    search(read_asked([*SHORT, *own, *asked]))
    assert len(built) == (not meanwhile)
    found = json.loads((tmp_path / "s" / "search.json").read_text("utf-8"))
    assert found["confirmed"][0]["minus_none"]["mean"] < 0, "none is found by the name that it has now"


def test_every_task_has_its_own_limit(tmp_path, made_up):
    """What is given up is worse than half-way to `none` on its own task, however bad other tasks are."""
    hard = {"cooking": 0.9, "medical": 0.2}

    def rates(config):
        found = rates_of(config)
        return {**found, "other_domains": found["other_domains"] * hard.get(config.task.name, 1.0) / 0.7}

    made_up.rates = rates
    run(tmp_path, "safeguard=treft,kl", "most=1", "task=medical,cooking", "budget=6", "keep=[]")
    last = {arm.config.task.name: arm for arm in made_up.ran if arm.config.safeguard == "kl"}
    limits = {
        name: float(arm.overrides[-1].removeprefix("give_up.above=")) for name, arm in last.items() if name in hard
    }
    assert limits["medical"] < 0.25 < limits["cooking"]


def test_goes_on_where_it_stopped_and_runs_nothing_twice(tmp_path, made_up):
    first = run(tmp_path, NAMES, "budget=8")
    before = {arm.folder for arm in made_up.ran}
    done = [arm.folder for arm in made_up.ran if (arm.folder / "result.json").is_file()]
    again = run(tmp_path, NAMES, "budget=16")
    assert [each["number"] for each in again["tried"]][: len(first["tried"])] == [e["number"] for e in first["tried"]]
    assert len(again["tried"]) > len(first["tried"])
    assert len(done) == len(set(done))
    repeated = [arm.folder for arm in made_up.ran[len(done) :] if arm.folder in before and arm.folder in done]
    assert not [folder for folder in repeated if made_up.ran.count(folder) > 1]


def test_a_candidate_of_a_process_that_was_killed_is_tried_again(tmp_path, made_up, monkeypatch):
    plain = MadeUpArms.run

    def dies(self, arm):
        if arm.config.safeguard == "treft":
            raise KeyboardInterrupt
        plain(self, arm)

    monkeypatch.setattr(MadeUpArms, "run", dies)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, NAMES, "budget=6")
    monkeypatch.setattr(MadeUpArms, "run", plain)
    found = run(tmp_path, NAMES, "budget=8")
    assert [each["safeguard"] for each in found["tried"]].count("treft") >= 1


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (["safeguard=kl,treft"], "was begun with safeguards="),
        ([NAMES, "keep=[narrow>=0.7*none]"], "was begun with keep="),
        ([NAMES, "most=1"], "was begun with most=2, not with most=1"),
        ([NAMES, "seed=3"], "was begun with seed=0, not with seed=3"),
        ([NAMES, "safeguards.kl.weight=0.1,0.5"], "was begun with settings="),
    ],
)
def test_another_search_of_the_same_name_is_refused(tmp_path, made_up, other, words):
    run(tmp_path, NAMES, "budget=4")
    line = told(tmp_path, "budget=8", *other)
    assert words in line
    assert "take another name" in line


def test_where_nothing_meets_all_the_nearest_is_shown(tmp_path, made_up, capsys):
    found = run(tmp_path, NAMES, "budget=12", "keep=[narrow>=0.99,benign>=0.9*none]")
    assert found["best"] is None
    assert found["nearest"] is not None
    said = capsys.readouterr().out
    assert "Nothing meets all; the nearest" in said
    assert "the nearest, which does not meet all: python -m experiments.sweep" in said.replace("\n", " ")


def test_values_that_are_named_are_the_only_ones_tried(tmp_path, made_up):
    found = run(tmp_path, "safeguard=kl", "most=1", "budget=20", "safeguards.kl.weight=0.1,0.5,2", "keep=[narrow>=0.1]")
    assert {each["settings"][0] for each in found["tried"]} <= {
        f"safeguards.kl.weight={w}" for w in ("0.1", "0.5", "2")
    }


def test_without_a_benign_task_nothing_is_asked_of_one_by_default(tmp_path, made_up, capsys):
    search(
        read_asked([*SHORT[1:], *CONFIRM, f"output={tmp_path}", "name=s", "task=medical", "safeguard=kl", "budget=2"])
    )
    assert "benign>=0.9*none is not asked for, since no task is benign" in capsys.readouterr().out
    found = json.loads((tmp_path / "s" / "search.json").read_text("utf-8"))
    assert found["keep"] == ["narrow>=0.8*none", "incoherent<=none+0.02"]


def test_two_processes_share_one_search(tmp_path, made_up):
    run(tmp_path, NAMES, "budget=8")
    asked = read_asked([*SHORT, *CONFIRM, f"output={tmp_path}", "name=s", NAMES, "budget=8"])
    before = len(made_up.ran)
    search(asked)
    assert len(made_up.ran) == before, "the other has spent the budget"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["keep=[narow>=0.8]"], "unknown measure 'narow': did you mean 'narrow'?"),
        (["keep=[narrow>0.8]"], "must be a measure, >= or <=, and a share"),
        (["keep=[narrow>=80]"], "rates are shares, from 0 to 1"),
        (["keep=[narrow>=0.8,narrow>=0.7]"], "has two bounds on one side"),
        (["keep=[facts>=0.9*none]"], "keep=facts>=0.9*none: no answer of none says anything of facts_kept"),
        (["budget=0"], "budget=0: must be a number of arms above 0, or of minutes, such as 90min"),
        (["budget=-3"], "budget=-3: must be"),
        (["budget=1"], "budget=1: is less than one candidate, which has 2 arms"),
        (["budget="], "budget=: must have one value"),
        (["most=0"], "most=0: must be a whole number from 1 to 5"),
        (["training.epochs=1,2"], "training.epochs=1,2: a search varies safeguards and their settings alone"),
        (["safeguard=none"], "safeguard=none: leaves nothing to search"),
        (["safeguard=kk"], "unknown safeguard 'kk'"),
        (["safeguard=kl", "safeguards.ldifs.weight=1,2"], "safeguards.ldifs.weight: is of a safeguard that is not"),
        (["safeguard=kl", "safeguards.kl.wieght=1,2"], "unknown key 'safeguards.kl.wieght': did you mean 'weight'?"),
        (["safeguard=kl", "safeguards.kl.weight=interval(0,1)"], "must go from a number above 0 to a larger one"),
        (["confirm.safeguard=kl"], "what is confirmed is what was found"),
        (["confirm.seed=0", "confirm.task=medical"], "the search saw these"),
        (["task=medical", "keep=[benign>=0.5]"], "keep=benign>=0.5: no task is benign; name one, too"),
        (["confirm.sed=4"], "unknown key 'sed'"),
        (["task=style"], "task: has benign tasks alone"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_one_line_before_any_candidate(tmp_path, made_up, typed, words):
    own = [key for key in ("confirm.seed", "confirm.task") if any(each.startswith(f"{key}=") for each in typed)]
    kept = [each for each in CONFIRM if each.partition("=")[0] not in own]
    shared = [each for each in SHORT if each.partition("=")[0] not in {each.partition("=")[0] for each in typed}]
    with pytest.raises(SafeguardError) as ended:
        search(read_asked([*shared, *kept, f"output={tmp_path}", "name=s", *typed]))
    assert words in str(ended.value)
    assert "\n" not in str(ended.value)
    assert all(arm.config.safeguard in ("none", "untouched") for arm in made_up.ran)


def test_a_search_tells_what_it_flattered(tmp_path, made_up):
    def lucky(config):
        found = rates_of(config)
        return {**found, "other_domains": 0.0 if config.seed == 0 else 0.5} if config.safeguard == "treft" else found

    made_up.rates = lucky
    found = run(tmp_path, "safeguard=treft", "most=1", "budget=4", "keep=[]")
    assert found["tried"][0]["rates"][BROAD_MISALIGNED.key] == 0.0
    saw, there_is = found["references"]["none"]["broad_misaligned"], -found["confirmed"][0]["minus_none"]["mean"]
    assert (saw, there_is) == pytest.approx((0.7, 0.2), abs=0.1)
    assert found["confirmed"][0]["flattered_by"] == pytest.approx(saw - there_is)
