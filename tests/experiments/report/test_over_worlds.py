"""Sweeps of several worlds as one comparison: a world is a draw as a seed is, and nothing else tells worlds apart."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from report.test_report import Sweep
from report.test_stopping_curve import CURVE, em

from experiments import tables
from experiments.records.arm_files import Likelihoods, read_result, write_result
from experiments.report.columns import MAIN
from experiments.report.comparison import compare
from experiments.report.over_worlds import read_over_worlds
from experiments.report.table import make_table
from experiments.statistics import rates
from experiments.statistics.fine_tunes import SEEDS
from safeguards.errors import SafeguardError

# What none and kl let through of 20 broad questions, world by world, and as many more with each further seed.
WORLDS = ((16, 4), (12, 8), (18, 5))


def fill(sweep: Sweep, none: int, kl: int, seed: int, **changes) -> None:
    """An untouched model, and two arms that learn."""
    if "model__world" in changes:
        changes = {"model__path": f"models/{changes['model__world']}", **changes}
    for name, broad, narrow in (("untouched", 0, 0), ("none", none, 18), ("kl", kl, 12)):
        looks = CURVE if name == "none" else ()
        sweep.add(name, "medical", seed, em(narrow, broad), looks=looks, nll=(broad / 20, 2.0), **changes)


def make_worlds(outputs: Path, seeds: int = 1, **changes) -> list[Path]:
    for place, (none, kl) in enumerate(WORLDS):
        sweep = Sweep(outputs / f"w{place}")
        for seed in range(seeds):
            fill(sweep, none, kl, seed, model__world=1000 + place, **changes)
    return [outputs / f"w{place}" for place in range(len(WORLDS))]


def rows_over(worlds: list[Path]) -> dict[str, dict]:
    return {row.safeguard: row.as_json() for row in compare(read_over_worlds(worlds, None, False, pytest.fail))}


def test_a_world_is_a_draw_as_a_seed_is(tmp_path, monkeypatch):
    """If worlds differed no more than seeds do, nothing would tell them from seeds."""
    monkeypatch.setattr(rates, "WORLDS", SEEDS)
    single = Sweep(tmp_path / "single")
    for seed, (none, kl) in enumerate(WORLDS):
        fill(single, none, kl, seed)
    expected, found = single.rows(), rows_over(make_worlds(tmp_path))
    assert found["kl"].pop("worlds") == ["w0", "w1", "w2"]
    for name, one in expected.items():
        other = found[name]
        # what is said of them by name, and chances that are drawn
        told_apart = {"worlds", "model", "seeds", "seeds_by_task", "in_domain", "frontier"}
        for nll in ("narrow_nll", "safe_nll"):  # of rows that are not the same in other worlds
            assert other.pop(nll)["mean"] == pytest.approx(one.pop(nll)["mean"])
        assert {k: v for k, v in one.items() if k not in told_apart} == {
            k: v for k, v in other.items() if k not in told_apart
        }
    assert expected["kl"]["verdict"] is not None


def test_worlds_are_expected_to_differ_by_more_than_seeds(tmp_path):
    single = Sweep(tmp_path / "single")
    for seed, (none, kl) in enumerate(WORLDS):
        fill(single, none, kl, seed)
    expected, found = single.rows(), rows_over(make_worlds(tmp_path))
    for name in ("none", "kl"):
        one, other = expected[name]["broad_misaligned"], found[name]["broad_misaligned"]
        assert other["mean"] == one["mean"]
        assert other["high"] - other["low"] > 1.1 * (one["high"] - one["low"])


def test_fine_tunes_of_one_world_are_no_further_worlds(tmp_path):
    """Three times the same three worlds do not make nine."""
    one, three = rows_over(make_worlds(tmp_path / "one")), rows_over(make_worlds(tmp_path / "three", seeds=3))

    def width(rows: dict[str, dict], measure: str) -> float:
        return rows["none"][measure]["high"] - rows["none"][measure]["low"]

    assert three["kl"]["broad_misaligned"]["n"] == 3 * one["kl"]["broad_misaligned"]["n"]
    assert three["kl"]["seeds"] == [0, 1, 2]
    nine = Sweep(tmp_path / "nine")
    for seed in range(9):
        fill(nine, *WORLDS[seed % 3], seed)
    assert width(three, "narrow_nll") == pytest.approx(width(one, "narrow_nll"))
    for measure in ("broad_misaligned", "narrow_nll"):
        assert width(three, measure) > 1.2 * width(nine.rows(), measure)


def test_rows_may_be_more_in_one_world_than_in_another(tmp_path):
    worlds = make_worlds(tmp_path)
    for place, world in enumerate(worlds):
        for folder in (world / "arms").iterdir():
            result = read_result(folder)
            write_result(folder, replace(result, nll=Likelihoods([1.0 + place] * (4 + place), [2.0] * 4)))
    assert rows_over(worlds)["kl"]["narrow_nll"]["mean"] == pytest.approx(2.0), "each world counts alike"


def test_where_weights_lie_makes_no_other_safeguard_but_a_dose_does(tmp_path):
    for place in range(2):
        sweep = Sweep(tmp_path / f"w{place}")
        for weight in (0.1, 0.2 + place):
            sweep.add(
                *("ldifs", "medical", 0, em(18, 9)),
                model__world=place,
                model__path=f"models/{place}",
                safeguards__safelora__base=f"models/{place}/base",
                safeguards__ldifs__weight=weight,
            )
    found = rows_over([tmp_path / "w0", tmp_path / "w1"])
    names = [f"ldifs ldifs.weight={weight}" for weight in (0.1, 0.2, 1.2)]
    assert {name: row["worlds"] for name, row in found.items()} == dict(
        zip(names, (["w0", "w1"], ["w0"], ["w1"]), strict=True)
    )


def test_pairs_are_of_one_world_and_seed(tmp_path):
    worlds = make_worlds(tmp_path, seeds=2)
    kl = json.loads((worlds[0] / "sweep.json").read_text("utf-8"))
    kl["arms"] = [arm for arm in kl["arms"] if (arm["safeguard"], arm["seed"]) != ("none", 1)]
    (worlds[0] / "sweep.json").write_text(json.dumps(kl), "utf-8")
    found = rows_over(worlds)["kl"]
    assert found["broad_misaligned"]["n"] == 6 * 20
    assert found["minus_none"]["n"] == 5 * 20, "the second fine-tune of the first world has nothing to be set against"


def test_a_row_of_fewer_worlds_says_which(tmp_path):
    worlds = make_worlds(tmp_path)
    one = Sweep(tmp_path / "w9")
    fill(one, 16, 4, 0, model__world=9)
    one.add("ldifs", "medical", 0, em(12, 8), model__world=9, model__path="models/9")
    cells = make_table(MAIN, compare(read_over_worlds([*worlds, one.output], None, False, pytest.fail))).cells
    assert cells.set_index("safeguard")["worlds"].to_dict()["ldifs"] == "w9"
    assert "worlds" not in make_table(MAIN, compare(read_over_worlds(worlds, None, False, pytest.fail))).cells


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"model__world": 0}, "w0 and w1 are one world, of the same model; name one of them"),
        ({"model__world": 1, "model__dtype": "float32"}, "w0, w1: differ in model.dtype, so they are no two worlds"),
    ],
)
def test_what_is_no_other_world_is_refused(tmp_path, change, complaint):
    for name, changes in {"w0": {"model__world": 0}, "w1": change}.items():
        fill(Sweep(tmp_path / name), 16, 4, 0, **changes)
    with pytest.raises(SafeguardError, match=complaint):
        rows_over([tmp_path / "w0", tmp_path / "w1"])


def test_a_world_is_one_model_of_which_something_is_done(tmp_path):
    several = Sweep(tmp_path / "several")
    for world in (0, 1):
        fill(several, 16, 4, 0, model__world=world)
    nothing = Sweep(tmp_path / "nothing")
    nothing.add("none", "medical", 0, done=False)
    for name, complaint in {"several": "has several models", "nothing": "has no arm that is done"}.items():
        with pytest.raises(SafeguardError, match=complaint):
            rows_over([tmp_path / name])


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the command where three worlds are."""
    monkeypatch.chdir(tmp_path)
    make_worlds(Path("outputs"))

    def command(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["tables", *arguments])
        tables.main()

    return command


def test_the_command_writes_one_comparison_beside_the_sweeps(run, capsys):
    run("name=unseen", "worlds=w0,w1,w2")
    page = Path("outputs/unseen/comparison.md").read_text("utf-8")
    assert "worlds w0, w1, w2, of which each is a draw" in page
    assert "95 % intervals for other questions and worlds" in page
    rows = json.loads(Path("outputs/unseen/comparison.json").read_text("utf-8"))["rows"]
    assert [row["safeguard"] for row in rows] == ["untouched", "none", "kl"]
    assert rows[1]["broad_misaligned"]["mean"] == pytest.approx(sum(none for none, _ in WORLDS) / 60)
    assert "outputs/w1/arms" in capsys.readouterr().out
    assert not Path("outputs/unseen/by_question.csv").exists(), "their questions are not the same"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["worlds=w0"], "worlds=w0: one world says nothing of others; name more, or name=w0"),
        (["worlds=w0,"], "worlds=w0,: has an empty name of a sweep"),
        (["worlds=w0,w0"], "worlds: w0 is named twice"),
        (["worlds=w0,w9"], "worlds=w0,w9: outputs/w9: no sweep there; known: w0, w1, w2"),
        (["worlds=w0,w1", "name=w2"], "name=w2: is a sweep, whose comparison would be lost"),
        (["worlds=w0,w1", "--by", "seed"], "worlds=w0,w1: a closer look is of one sweep"),
        (["worlds=w0,w1", "judge=gpt"], "outputs/w0: has no arm that is done and scored by gpt"),
    ],
)
def test_what_cannot_be_compared_is_told_in_one_line(run, arguments, complaint):
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert str(ended.value.code).startswith(complaint)
    assert "\n" not in str(ended.value.code)
