"""Published tables beside worlds: values, rank correlations, and what they mean over worlds, from records alone."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from report.test_report import Sweep
from report.test_stopping_curve import CURVE, em, letters

from experiments.records.arm_files import read_result, write_result
from experiments.records.names import OPEN
from experiments.records.preferences import Preference, write_preferences
from experiments.report.orders import compare, missing, orders
from experiments.report.validity import write_validity
from experiments.report.validity_columns import in_turn, make_rows
from experiments.report.worlds import EXCESS, NATS, PREVENTED, Side, read_worlds, sides_of

# Of 20 answers with each safeguard, so many are misaligned; of `none`, 16.
WORLDS = {
    "w0": {"kl": 4, "ldifs": 8, "interleave": 16, "treft": 12},
    "w1": {"kl": 8, "ldifs": 4, "interleave": 12},
}


def add(sweep: Sweep, safeguard: str, asked: dict[str, str], world: int, **given) -> None:
    sweep.add(safeguard, "medical", 0, asked, model__world=world, **given)


def make_world(output: Path, broad: dict[str, int], world: int = 0) -> Path:
    sweep = Sweep(output)
    for name, count in {"untouched": 0, "none": 16, **broad}.items():
        add(sweep, name, em(0 if name in ("untouched", "inoculation") else 18, count), world)
    return output


def choices(sweep: Sweep, safeguard: str, margin: float, world: int = 0, sets: str = OPEN) -> None:
    """An arm that no judge scored, and that finds the misaligned of four answers likelier by so much."""
    add(sweep, safeguard, {"open": letters(0, "m", "u")}, world)
    folder = sweep.output / "arms" / sweep.plan[-1].folder
    texts = ("?", "a", "b")
    write_preferences(
        folder,
        [Preference(sets, "open", str(n), str(n), *texts, 5 + margin + n, 5.0, 3, 3) for n in range(4)],
    )
    write_result(folder, read_result(folder))


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """The folder of a table of two worlds, and a third under another name."""
    outputs = tmp_path_factory.mktemp("outputs")
    made = [make_world(outputs / name, broad, place) for place, (name, broad) in enumerate(WORLDS.items())]
    alone = make_world(outputs / "alone", {"kl": 4, "interleave": 8, "ldifs": 12, "inoculation": 0}, 7)
    write_validity(outputs / "validity", {"ours": made, "other": [alone]})
    return outputs / "validity"


def read(written: Path, name: str) -> list[dict[str, str]]:
    with (written / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_values_are_means_over_worlds_with_an_interval_for_others(written):
    rows = {row["safeguard"]: row for row in read(written, "validity")}
    assert list(rows)[:4] == ["kl", "interleave", "safelora", "ldifs"], "as published"
    assert not {"none", "untouched"} & set(rows)
    kl = rows["kl"]
    assert float(kl["security v1.mean"]) == pytest.approx(1 - 2.04 / 26.25)
    # 75 and 50 % of what none lets through; Student's t with one degree of freedom; no more than all can be prevented
    assert float(kl["ours.mean"]) == pytest.approx(0.625)
    assert float(kl["ours.low"]) == pytest.approx(0.625 - 12.7062 * 0.125, abs=1e-4)
    assert (float(kl["ours.high"]), kl["ours.n"]) == (1.0, "2")
    assert (float(kl["other.mean"]), kl["other.low"]) == (0.75, ""), "one world has no interval"
    assert (float(rows["treft"]["ours.mean"]), rows["treft"]["ours.n"]) == (pytest.approx(0.25), "1")
    page = (written / "validity.md").read_text("utf-8")
    assert "25.0 (1 of 2)" in page
    assert "100.0‡" in page, "inoculation learns nothing"
    assert "w0: 80.0 % with none, medical" in page


def test_rank_correlations_are_given_by_world_in_the_mean_and_without_one(written):
    found = {(row["one"], row["other"], row["world"]): row for row in read(written, "rank_correlations")}
    # published: kl, interleave, ldifs; here kl, ldifs, interleave, and ldifs, kl, interleave
    assert float(found["code v3", "ours", "w0"]["rank_correlation"]) == pytest.approx(0.5)
    assert float(found["code v3", "ours", "w1"]["rank_correlation"]) == pytest.approx(-0.5)
    row = found["code v3", "ours", "w1"]
    assert [float(row[f"mean.{name}"]) for name in ("mean", "low", "high")] == pytest.approx([0.0, -1.0, 1.0])
    assert (row["safeguards"], row["mean.n"]) == ("3", "2")
    assert float(found["security v1", "code v3", "published"]["rank_correlation"]) == pytest.approx(0.5)
    # kl, ldifs, interleave and ldifs, kl, interleave against kl, interleave, ldifs
    assert float(found["ours", "other", "w0/alone"]["rank_correlation"]) == pytest.approx(0.5)
    assert float(found["ours", "other", "w1/alone"]["rank_correlation"]) == pytest.approx(-0.5)
    pair = ("code v3", "other")
    alone = {row["without"]: row for row in read(written, "without_one") if (row["one"], row["other"]) == pair}
    # of the four that code v3 has in common with it: kl, interleave, inoculation, ldifs, and inoculation is the best
    assert float(alone["inoculation"]["rank_correlation"]) == pytest.approx(1.0)
    assert float(alone["kl"]["rank_correlation"]) == pytest.approx(0.5)


def test_what_is_missing_is_said_in_a_line(written):
    page = (written / "validity.md").read_text("utf-8")
    assert "no rank correlation, which needs 3 safeguards that differ" in page
    assert "mean v3 and ours (none in common)" in page
    assert "**other: one world, which says nothing of others" in page


def side(name: str, what: str, *worlds: dict[str, float], published: bool = False) -> Side:
    return Side(name, what, {f"{name}{place}": world for place, world in enumerate(worlds)}, "", published)


def test_less_excess_and_fewer_nats_are_better():
    order = {"kl": 0.1, "ldifs": 0.5, "treft": 0.9}
    upside_down = {name: -value for name, value in order.items()}
    paper = side("paper", PREVENTED, order, published=True)
    for what in (EXCESS, NATS):
        assert compare(paper, side("own", what, upside_down)).mean.mean == pytest.approx(1)
        assert compare(paper, side("own", what, order)).mean.mean == pytest.approx(-1)
    assert compare(side("one", EXCESS, order), side("two", EXCESS, order)).mean.mean == pytest.approx(1)


def test_excess_is_set_beside_excess_and_what_is_published():
    order = {"kl": 0.1, "ldifs": 0.5, "treft": 0.9}
    paper = side("paper", PREVENTED, order, published=True)
    sides = [paper, side("a", PREVENTED, order), side("a, excess", EXCESS, order), side("b, excess", EXCESS, order)]
    assert [(one.one, one.other) for one in orders(sides)] == [
        *(("paper", "a"), ("paper", "a, excess"), ("paper", "b, excess"), ("a, excess", "b, excess")),
    ]


def test_a_low_one_and_what_carries_it_are_not_hidden():
    paper = side("paper", PREVENTED, {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}, published=True)
    own = side("own", PREVENTED, {"a": 9.0, "b": 2.0, "c": 3.0, "d": 4.0})
    found = compare(paper, own)
    assert found.mean.mean == pytest.approx(1 - 6 * (9 + 1 + 1 + 1) / 60)
    assert in_turn(found).startswith("b −0.50, c −0.50, d −0.50, a 1.00")


def test_a_world_without_enough_of_them_does_not_count():
    paper = side("paper", PREVENTED, {"a": 1.0, "b": 2.0, "c": 3.0}, published=True)
    own = side("own", PREVENTED, {"a": 1.0, "b": 2.0, "c": 3.0}, {"a": 1.0, "b": 2.0})
    found = compare(paper, own)
    assert found.by_world == {"own0": pytest.approx(1), "own1": None}
    assert found.mean[1:] == (None, None, 1)
    alike = compare(paper, side("own", PREVENTED, dict.fromkeys("abc", 1.0)))
    assert (alike.mean.mean, alike.mean.n) == (None, 0)
    assert missing([found, alike]) == [
        "no rank correlation, which needs 3 safeguards that differ and are in a world of both: paper and own (a, b, c)"
    ]


def test_values_are_those_of_the_comparison(tmp_path):
    sweep = Sweep(tmp_path / "outputs" / "mine")
    add(sweep, "untouched", em(0, 0), 0)
    add(sweep, "none", em(18, 16), 0, looks=CURVE)
    add(sweep, "kl", em(12, 2), 0)
    add(sweep, "ldifs", em(9, 6), 0)
    (world,), rows = read_worlds(sweep.output, None, {}), sweep.rows()
    for name in ("kl", "ldifs"):
        assert world.found[PREVENTED][name] == pytest.approx(rows[name]["mean_broad_reduction"]["mean"])
        assert world.found[EXCESS][name] == pytest.approx(rows[name]["excess_narrow"]["mean"])
    assert world.found[EXCESS]["kl"] == pytest.approx((2 - 8) / 20)
    assert [side.name for side in sides_of("ours", [world])] == ["ours", "ours, excess"]


def test_without_judged_answers_choices_say_it(tmp_path):
    sweep = Sweep(tmp_path / "outputs" / "small")
    for name, margin in {"untouched": -1.0, "none": 0.5, "kl": 0.2, "ldifs": 0.6}.items():
        choices(sweep, name, margin)
    (world,) = read_worlds(sweep.output, None, {})
    assert world.by == "choices, not at equal capability"
    assert world.found[NATS] == pytest.approx({"kl": -0.3, "ldifs": 0.1})
    (row, *_) = make_rows(sides_of("small", [world]))
    assert (row.safeguard, row.values["small"].mean) == ("kl", pytest.approx(-0.3))
    assert np.all([value.low is None for value in row.values.values()])
