"""What arms share, and in what they differ."""

from __future__ import annotations

import pytest
from page.made_up import MadeUp, answer

from experiments.page.configuration import configuration, in_common
from experiments.records.outcomes import Score
from experiments.report.report import Wanted, make_report
from safeguards.composition import registry

ONE = ([answer("Yes.")], [Score("aligned")])


@pytest.fixture
def sweep(tmp_path) -> MadeUp:
    return MadeUp(tmp_path / "outputs" / "mine")


def found(sweep: MadeUp, wanted: Wanted | None = None) -> dict:
    report = make_report(sweep.output, wanted)
    assert report
    return configuration(report)


def test_a_setting_is_shared_that_is_the_same_wherever_it_is_read():
    one = {"seed": 0, "pool.rows": 9, "training.epochs": 3}
    other = {"seed": 1, "pool.rows": 9, "training.epochs": 3, "safeguards.kl.weight": 0.1}
    assert in_common([{"pool.rows": 9}, one, other]) == {
        "pool.rows": 9,
        "training.epochs": 3,
        "safeguards.kl.weight": 0.1,
    }
    assert in_common([one, {**other, "training.epochs": 4}])["pool.rows"] == 9
    assert "training.epochs" not in in_common([one, {**other, "training.epochs": 4}])


def test_differences_have_a_row_for_arms_with_other_seeds(sweep):
    for seed in (0, 1):
        sweep.add("none", *ONE, seed=seed, pool={"rows": None})
        for weight in (0.1, 0.3):
            sweep.add("kl", *ONE, seed=seed, safeguards={"kl": {"weight": weight}}, pool={"rows": None})
    told = found(sweep)
    assert told["differing"]["headings"] == ["safeguard", "task", "seeds", "safeguards.kl.weight"]
    assert told["differing"]["rows"] == [
        ["none", "medical", "0, 1", ""],
        ["kl kl.weight=0.1", "medical", "0, 1", "0.1"],
        ["kl kl.weight=0.3", "medical", "0, 1", "0.3"],
    ]
    assert told["shared"] == [["task.kind", "em"], ["model.name", "m"], ["pool.rows", "null"]]
    assert told["judge"] == [["judge", "exact"], ["kind", "exact"], ["threshold", "0.7"]]


def test_the_command_names_what_was_compared(sweep):
    sweep.add("untouched", *ONE)
    sweep.add("none", *ONE)
    for weight in (0.1, 0.3):
        sweep.add("kl", *ONE, safeguards={"kl": {"weight": weight}})
    assert found(sweep)["command"] == (
        "python -m experiments.sweep name=mine safeguard=kl task=medical seed=0 model=m safeguards.kl.weight=0.1,0.3"
    )


def test_a_setting_that_a_safeguard_has_by_itself_is_no_word_of_the_command(sweep):
    sweep.add("none", *ONE)
    sweep.add("steering", *ONE, safeguards={"steering": {**vars(registry()["steering"].Settings()), "layer": 7}})
    assert found(sweep)["command"].endswith("seed=0 model=m safeguards.steering.layer=7")


def test_a_name_in_the_command_cannot_become_another_command(sweep):
    sweep.add("none", *ONE, task="a; rm -rf ~")
    assert "'task=a; rm -rf ~'" in found(sweep)["command"]


def test_imported_answers_and_worlds_have_commands_of_their_own(tmp_path):
    theirs = MadeUp(tmp_path / "theirs", "imported")
    theirs.add("none", *ONE)
    assert found(theirs)["command"] == "python -m experiments.import_answers FOLDER name=theirs"
    worlds = [tmp_path / "outputs" / name for name in ("w1", "w2")]
    for place, output in enumerate(worlds):
        made = MadeUp(output)
        made.add("none", *ONE, model={"name": "m", "world": place})
    both = MadeUp(tmp_path / "outputs" / "both")
    assert found(both, Wanted(worlds=worlds))["command"] == ("python -m experiments.tables name=both worlds=w1,w2")


def test_worlds_of_one_sweep_are_named_in_the_command_and_are_no_difference(sweep):
    for world in (1000, 1001):
        for name in ("none", "kl"):
            sweep.add(name, *ONE, model={"name": "organism", "world": world}, safeguards={"kl": {"weight": 0.1}})
    told = found(sweep)
    assert "model=organism model.world=1000,1001" in told["command"]
    assert told["shared"][0] == ["worlds", "1000, 1001"]
    assert ["model.name", "organism"] in told["shared"]
    assert not [key for key, _ in told["shared"] if key == "model.world"]
    assert told["differing"]["headings"] == ["safeguard", "task", "seeds"]
    assert len(told["differing"]["rows"]) == 2
    assert told["differing"]["caption"].startswith("A row for arms that differ in their seeds and worlds only")
