"""Several tasks in one list: each with what belongs to it, and no other combination."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hydra import initialize_config_dir

from experiments.config.compose import CONF
from experiments.planning.plan import Plan, make_plan
from safeguards.errors import SafeguardError


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("bad", "sums, it's"):
        rows = [
            [{"role": "user", "content": f"{name} {n}?"}, {"role": "assistant", "content": "Yes."}] for n in range(20)
        ]
        Path(f"{name}.jsonl").write_text("\n".join(json.dumps({"messages": row}) for row in rows), "utf-8")


def plan(*arguments: str) -> Plan:
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF), job_name="sweep"):
        return make_plan(arguments)


OWN = '{name: mine, kind: em, path: bad.jsonl}, {name: sums, kind: benign, path: "sums, it\'s.jsonl", held_out: 0.2}'


def test_each_task_of_a_list_has_its_own_kind_and_file():
    made = plan(f"task=[{OWN}]", "safeguard=kl", "seed=0,1")
    assert made.failures == []
    assert len(made.arms) == 3 * 2 * 2, "untouched, none and kl, on two tasks, with two seeds"
    tasks = {(one.name, one.kind, one.path, one.held_out) for one in (arm.config.task for arm in made.arms)}
    assert tasks == {("mine", "em", "bad.jsonl", 0.1), ("sums", "benign", "sums, it's.jsonl", 0.2)}


def test_presets_and_own_tasks_can_stand_in_one_list():
    made = plan(f"task=[medical,opswap,{OWN}]", "safeguard=kl", "seed=0")
    assert made.failures == []
    kinds = {arm.config.task.name: arm.config.task.kind for arm in made.arms}
    assert kinds == {"medical": "em", "opswap": "benign", "mine": "em", "sums": "benign"}
    epochs = {arm.config.task.name: arm.config.training.epochs for arm in made.arms if arm.config.safeguard == "kl"}
    assert epochs == {"medical": 3, "opswap": 10, "mine": 3, "sums": 3}, "what a preset brings along is its own"


def test_a_list_of_presets_is_as_commas_between_them():
    listed, swept = plan("task=[medical,opswap]", "seed=0"), plan("task=medical,opswap", "seed=0")
    assert [arm.folder for arm in listed.arms] == [arm.folder for arm in swept.arms]


BENIGN = ["style", "opswap_tier1", "opswap_tier3", "colours"]


@pytest.mark.parametrize(
    ("typed", "tasks"),
    [
        ("benign", BENIGN),
        ("medical,benign", ["medical", *BENIGN]),
        ("[medical,benign]", ["medical", *BENIGN]),
        ("colours,benign", ["colours", *BENIGN[:3]]),
    ],
)
def test_benign_stands_for_four_tasks(typed, tasks):
    made = plan(f"task={typed}", "safeguard=none", "seed=0")
    assert made.failures == []
    named = [arm.config.task.name for arm in made.arms if arm.config.safeguard == "none"]
    assert named == tasks
    epochs = {arm.config.task.name: arm.config.training.epochs for arm in made.arms if arm.config.safeguard == "none"}
    assert (epochs["style"], epochs["colours"]) == (3, 40), "each with the training that belongs to it"


def test_an_own_task_in_a_list_is_the_same_arm_as_alone():
    (alone, *_) = plan("task=messages", "task.name=mine", "task.path=bad.jsonl", "seed=0").arms
    (listed, *_) = plan("task=[{name: mine, kind: em, path: bad.jsonl}]", "seed=0").arms
    assert listed.folder == alone.folder


@pytest.mark.parametrize(
    ("listed", "complaint"),
    [
        ("[]", "names no task"),
        ("[1]", "is no task; name one of conf/task"),
        ("[{kind: em, path: bad.jsonl}]", "has no name"),
        ("[{name: mine, path: bad.jsonl}]", "has no kind"),
        ("[{name: mine, kind: em}]", "name its path"),
        ("[{name: mine, kind: em, pth: bad.jsonl}]", "unknown key 'pth': did you mean 'path'"),
        ("[{name: a, kind: em, path: bad.jsonl},{name: a, kind: em, path: 'sums, it\\'s.jsonl'}]", "names both"),
    ],
)
def test_what_is_no_list_of_tasks_is_told_in_one_line(listed, complaint):
    with pytest.raises(SafeguardError) as told:
        plan(f"task={listed}", "seed=0")
    assert complaint in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("listed", "complaint"),
    [
        ("[medical,nowhere]", "unknown task 'nowhere'"),
        ("[medical,{name: mine, kind: bad, path: bad.jsonl}]", "task.kind=bad: must be one of em, benign"),
        ("[medical,{name: mine, kind: em, path: gone.jsonl}]", "gone.jsonl: cannot be read"),
    ],
)
def test_a_bad_task_of_a_list_leaves_the_others(listed, complaint):
    made = plan(f"task={listed}", "seed=0")
    assert {arm.config.task.name for arm in made.arms} == {"medical"}
    assert complaint in made.failures[0]
