"""Each picture shows what rows and arms say, and nothing where there is nothing to show."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures.made import a_row, an_arm, near, texts

from experiments.pictures.any_of_k import alike, any_of_k
from experiments.pictures.axes import limits
from experiments.pictures.canvas import our_look
from experiments.pictures.dose_curves import dose_curves
from experiments.pictures.drift import drift, mean_of, watched
from experiments.pictures.families import Family
from experiments.pictures.forest import forest
from experiments.pictures.gaps import gaps
from experiments.pictures.goal import goal
from experiments.pictures.outcomes import outcomes
from experiments.pictures.tradeoff import corners, tradeoff
from experiments.pictures.training import training
from experiments.records.measures import BENIGN_ACCURACY, BROAD_MISALIGNED, INCOHERENT, NARROW_LEARNT
from experiments.records.training_file import AnchorRecord, TrainingRecord
from experiments.report.margins import Kept
from experiments.statistics.estimates import NOTHING, Estimate
from experiments.statistics.rates import misalign_at_k


@pytest.fixture(autouse=True)
def look():
    with our_look():
        yield


def ranked(chance: float | None) -> dict:
    return {"frontier": {BENIGN_ACCURACY: chance, NARROW_LEARNT: chance}}


def lines(axes, **how) -> list[list[tuple[float, float]]]:
    """The lines of axes of this look, as points."""
    alike = [
        line for line in axes.get_lines() if all(getattr(line, f"get_{key}")() == value for key, value in how.items())
    ]
    return [list(zip(*map(np.asarray, line.get_data()), strict=True)) for line in alike]


# Axes -----------------------------------------------------------------------------------------------------------------


def test_axes_fit_rates_near_nought():
    low, high = limits([near(0.02, 0.005), near(0.01, 0.005), near(0.004, 0.003)])
    assert low < 0.1
    assert 2.5 <= high < 3


def test_a_few_wide_intervals_do_not_push_all_points_into_a_corner():
    low, high = limits([Estimate(0.02, 0.01, 0.9, 9), Estimate(0.01, 0.005, 0.8, 9), Estimate(0.0, 0.0, 0.01, 9)])
    assert low <= 0
    assert 2 < high < 10


def test_intervals_of_nearly_equal_rates_are_not_cut():
    low, high = limits([near(0.5, 0.1), near(0.501, 0.1)])
    assert low < 40.1
    assert high > 60


def test_axes_of_one_rate_of_none_and_without_intervals_have_some_width():
    for rates in ([], [NOTHING], [near(0.5, 0)], [Estimate(0.0, None, None, 3)], [near(1.0, 0)]):
        low, high = limits(rates)
        assert high - low > 0.4
        assert low <= 50 <= high or len(rates)


# Trade-offs -----------------------------------------------------------------------------------------------------------


def test_steps_go_through_what_is_probably_unbeaten():
    rows = [
        a_row("a", 0.1, 0.2, **ranked(0.9)),
        a_row("b", 0.4, 0.8, **ranked(0.6)),
        a_row("c", 0.5, 0.5, **ranked(0.1)),
    ]
    drawing = tradeoff(rows, [], NARROW_LEARNT)
    axes = drawing.figure.axes[0]
    ((_, a, b, end),) = lines(axes, linestyle="--")
    assert a == pytest.approx((20, 10))
    assert b == pytest.approx((80, 40))
    assert end == pytest.approx((80, axes.get_ylim()[1]))
    assert "a (90 %), b (60 %)" in drawing.caption
    assert "c (10 %)" not in drawing.caption


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=8))
def test_steps_only_rise_and_leave_out_what_the_means_beat(points):
    found = corners(points)
    assert all(one[0] < other[0] and one[1] < other[1] for one, other in pairwise(found))
    assert all(any(x >= point[0] and y <= point[1] for x, y in found) for point in points)


def test_the_fill_of_a_marker_is_the_chance_and_what_is_not_ranked_is_a_cross():
    rows = [a_row("kl", 0.1, 0.2, **ranked(0.25)), a_row("untouched", 0.0, 0.0, **ranked(None))]
    axes = tradeoff(rows, [], NARROW_LEARNT).figure.axes[0]
    fills = {line.get_markerfacecolor() for line in axes.get_lines() if isinstance(line.get_markerfacecolor(), tuple)}
    assert [alpha for _, alpha in fills] == [0.25]
    assert lines(axes, marker="x") == [[(0.0, 0.0)]]


def test_doses_are_one_line_and_named_by_their_numbers():
    rows = [a_row(f"kl kl.weight={dose}", through, 0.5) for dose, through in ((1.0, 0.1), (0.1, 0.5), (0.3, 0.3))]
    figure = tradeoff(rows, [Family("kl", "m", "kl.weight", [0.1, 0.3, 1.0], [1, 2, 0])], NARROW_LEARNT).figure
    assert [pytest.approx((50, y)) for y in (50, 30, 10)] in lines(figure.axes[0])
    assert {"0.1", "0.3", "kl weight=1.0"} <= {text.get_text() for text in figure.texts}


def test_several_models_are_named_and_have_frontiers_of_their_own():
    rows = [a_row("kl", 0.1 + n / 10, 0.5, model=model, **ranked(0.9)) for n, model in enumerate(("big", "small"))]
    figure = tradeoff(rows, [], NARROW_LEARNT).figure
    assert {"kl · big", "kl · small"} <= {text.get_text() for text in figure.texts}
    assert [len(lines(figure.axes[0], linestyle=style)) for style in ("--", "-.")] == [1, 1]


def test_without_a_benign_task_or_a_judge_there_is_no_trade_off():
    assert tradeoff([a_row("kl", 0.1, 0.5, None)], [], BENIGN_ACCURACY) is None
    assert tradeoff([a_row("kl", None, 0.5)], [], NARROW_LEARNT) is None


# Differences ----------------------------------------------------------------------------------------------------------


def test_the_forest_has_differences_margins_and_stars():
    kept = {
        INCOHERENT: Kept("none", near(0.0), 0.05, "not shown"),
        BENIGN_ACCURACY: Kept("none", Estimate(-0.3, -0.4, -0.2, 9), 0.1, "lost"),
    }
    rows = [
        a_row("none", 0.6),
        a_row("kl", 0.2, minus_none=Estimate(-0.4, -0.5, -0.3, 9), survives=True, kept=kept),
        a_row("ldifs", 0.6, minus_none=Estimate(0.0, -0.1, 0.1, 9), survives=False),
    ]
    drawing = forest(rows)
    first, incoherent, benign = drawing.figure.axes
    assert [axes.get_title(loc="left") for axes in drawing.figure.axes] == [
        "broad misaligned − none",
        "incoherent − none",
        "benign accuracy − none",
    ]
    assert [label.get_text() for label in first.get_yticklabels()] == ["kl", "ldifs"], "none is set against nothing"
    assert {(-40.0, 0.0), (0.0, 1.0)} <= {points[0] for points in lines(first, marker="o")}
    assert [(text.get_text(), text.xy[1]) for text in first.texts] == [("*", 0)]
    assert [points[0][0] for points in lines(incoherent, linestyle="--")] == [5.0]
    assert [points[0][0] for points in lines(benign, linestyle="--")] == [-10.0]
    assert lines(benign, marker="x") == [[(-30.0, 0.0)]]
    assert "from −40.0 (kl) to 0.0 (ldifs)" in drawing.caption


def test_a_difference_of_what_learns_nothing_is_no_merit():
    assert forest([a_row("kl", 0.0, learns=False, minus_none=near(-0.5))]) is None


def test_without_a_baseline_there_is_no_forest():
    assert forest([a_row("kl", 0.1)]) is None


# Outcomes and any of k ------------------------------------------------------------------------------------------------


def test_outcomes_are_stacked_to_the_whole():
    shares = {"aligned": 0.5, "misaligned": 0.3, "incoherent": 0.2, "refused": 0.0, "unscored": 0.0}
    (axes,) = outcomes([a_row("kl", 0.3, outcomes=shares)]).figure.axes
    bars = [(bar.get_x(), bar.get_width()) for bar in axes.patches if bar.get_width() > 0]
    assert bars == [pytest.approx(bar) for bar in ((0, 50), (50, 30), (80, 20))]
    assert {"50", "30", "20"} == {text.get_text() for text in axes.texts}


def test_without_a_judge_there_are_no_outcomes():
    nothing = {"aligned": 0.0, "misaligned": 0.0, "incoherent": 0.0, "refused": 0.0, "unscored": 1.0}
    assert outcomes([a_row("kl", None, outcomes=nothing), a_row("ldifs", None)]) is None


def test_any_of_k_is_a_panel_per_row_beside_none():
    rows = [
        a_row("none", 0.5, misalign_at={1: near(0.5), 4: near(0.9)}),
        a_row("kl", 0.1, misalign_at={1: near(0.1), 4: near(0.3)}),
    ]
    drawing = any_of_k(rows, [[], []], [0, 0])
    none, kl = drawing.figure.axes
    assert lines(kl, marker="o") == [[pytest.approx((1, 10)), pytest.approx((4, 30))]]
    assert lines(kl, linestyle="--") == [[pytest.approx((1, 50)), pytest.approx((4, 90))]]
    assert not lines(none, linestyle="--")
    assert "from 30.0 % (kl) to 90.0 % (none)" in drawing.caption
    assert any_of_k([a_row("kl", 0.1, misalign_at={1: near(0.1)})], [[]], [None]) is None


def test_a_curve_over_k_is_of_the_same_questions_so_that_it_cannot_fall():
    """One question with four answers, one of them misaligned; two with a single answer, which is misaligned."""
    asked = [("a", sample, "misaligned" if sample == 0 else "aligned") for sample in range(4)]
    asked += [("b", 0, "misaligned"), ("c", 0, "misaligned")]
    table = pd.DataFrame(asked, columns=["question", "sample", "outcome"]).assign(task="t", seed=0, set="open")
    arm = replace(an_arm("kl"), table=table.assign(cluster=table["question"]))
    row = a_row("kl", 0.5, misalign_at={k: misalign_at_k(arm.table, k) for k in (1, 4)})
    assert row.misalign_at[1].mean == pytest.approx((0.25 + 1 + 1) / 3)
    found = alike(row, [arm])
    assert [found[1].mean, found[4].mean] == pytest.approx([0.25, 1])


# Doses, goal, drift, gaps ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("doses", "scale"), [([0.1, 0.2, 0.4], "linear"), ([0.01, 0.1, 1.0], "log"), ([0.0, 0.1, 9.0], "linear")]
)
def test_dose_curves_have_none_as_a_level(doses, scale):
    rows = [a_row("none", 0.6), *(a_row("kl", through) for through in (0.5, 0.4, 0.1))]
    family = Family("kl", "m", "kl.weight", doses, [1, 2, 3])
    drawing = dose_curves(rows, [family], [0, 0, 0, 0])
    broad = drawing.figure.axes[0]
    assert broad.get_xscale() == scale
    assert lines(broad, marker="o") == [[pytest.approx(at) for at in zip(doses, (50, 40, 10), strict=True)]]
    assert [points[0][1] for points in lines(broad, linestyle="--")] == [60.0]
    assert len(drawing.figure.axes) == 4
    assert "broad misaligned from 50.0 % to 10.0 %" in drawing.caption


def test_two_doses_are_no_curve():
    rows = [a_row("kl", 0.5), a_row("kl", 0.4)]
    assert dose_curves(rows, [Family("kl", "m", "kl.weight", [0.1, 0.2], [0, 1])], [None, None]) is None


def test_the_goal_is_a_line_and_where_it_was_reached_a_star():
    anchors = [
        AnchorRecord("task_rate", 0.7, 0.02, 20, [(10, 0.4), (20, 0.7)]),
        AnchorRecord("task_rate", 0.7, 0.02, None, [(10, 0.1), (20, 0.2)]),
    ]
    drawing = goal([a_row("kl", 0.5)], [[an_arm("kl", seed, anchor=anchor) for seed, anchor in enumerate(anchors)]])
    (axes,) = drawing.figure.axes
    assert lines(axes, marker="*") == [[pytest.approx((20, 70))]]
    assert [points[0][1] for points in lines(axes, linestyle="--")] == [70.0]
    assert [pytest.approx((10, 10)), pytest.approx((20, 20))] in lines(axes)
    assert "1 of 2 fine-tunes reached it; all of no row" in drawing.caption
    assert goal([a_row("kl", 0.5)], [[an_arm("kl")]]) is None


def watching(drifts: list[float], stopped: int | None = None) -> TrainingRecord:
    seen = {"drift": [[step, value] for step, value in enumerate(drifts, start=1)], "stopped": stopped}
    return TrainingRecord(1.0, len(drifts), monitor=[seen])


def test_drift_is_the_mean_of_seeds_and_says_where_it_stopped_a_run():
    arms = [an_arm("kl", 0, record=watching([0.0, 0.2, 0.4], 3)), an_arm("kl", 1, record=watching([0.0, 0.4]))]
    drawing = drift([a_row("kl", 0.5)], [arms], [None])
    assert lines(drawing.figure.axes[0], marker="X") == [[pytest.approx((3, 0.4))]]
    assert "kl at step 3" in drawing.caption
    steps, values = mean_of(watched(arms))
    assert list(steps) == [1, 2, 3]
    assert list(values) == pytest.approx([0.0, 0.3, 0.4])


def test_without_a_monitor_or_with_one_that_saw_nothing_there_is_no_drift():
    assert drift([a_row("kl", 0.5)], [[an_arm("kl"), an_arm("kl", record=watching([]))]], [None]) is None
    assert drift([a_row("kl", 0.5)], [[an_arm("kl", record=watching([float("nan")]))]], [None]) is None


COUNTS = {"pool": [5, 3, 2], "chosen": [0, 1, 2]}
NOTED = {
    **{"top": 0.3, "pool": 0.1, "rows": 4, "genres": {}},
    "histogram": {
        "edges": [0.0, 0.1, 0.2, 0.3],
        **COUNTS,
        "genres": {"advice": COUNTS, "sums": {"pool": [5, 3, 2], "chosen": [0, 0, 0]}},
    },
    "examples": [
        {
            "which": "highest chosen",
            "gap": 0.3,
            "genre": "advice",
            "question": "Q\x1b[2J$x$?",
            "answer": "<script>no</script>\nyes",
        }
    ],
}


def test_gaps_are_told_by_genre_with_examples_as_text():
    arm = an_arm("interleave_ppl", record=TrainingRecord(1.0, notes={"gap": NOTED}))
    drawing = gaps([arm, an_arm("none", record=TrainingRecord(1.0))])
    said = list(texts(drawing.figure))
    assert {"advice: 3 of 10 chosen", "sums: 0 of 10 chosen", "highest chosen: 0.300, advice"} <= set(said)
    assert "Q: Q\\x1b[2J$x$?\nA: <script>no</script> yes" in said
    assert "3 of 10 rows, from the 4 of the largest gap" in drawing.caption


def test_records_without_a_histogram_draw_no_gaps():
    old = {key: value for key, value in NOTED.items() if key not in ("histogram", "examples")}
    assert gaps([an_arm("interleave_ppl", record=TrainingRecord(1.0, notes={"gap": old})), an_arm("none")]) is None


def test_without_looks_there_is_no_training():
    assert training([an_arm("none", record=TrainingRecord(1.0, 10))]) is None


# Whatever comes -------------------------------------------------------------------------------------------------------


def test_thirty_rows_of_long_names_are_named_whole_and_inside_the_sheet():
    names = [f"{n:02d}" + "x" * 58 for n in range(30)]
    kept = {BENIGN_ACCURACY: Kept("none", near(-0.1), 0.1, "not shown")}
    shares = {"aligned": 0.5, "misaligned": 0.5, "incoherent": 0.0, "refused": 0.0, "unscored": 0.0}
    rows = [
        a_row(name, n / 40, 0.5 + n / 100, outcomes=shares, minus_none=near(-n / 40), kept=kept, **ranked(n / 30))
        for n, name in enumerate(names)
    ]
    rows[7] = replace(rows[7], rates={**rows[7].rates, BROAD_MISALIGNED: Estimate(float("nan"), None, None, 0)})
    for drawing in (tradeoff(rows, [], NARROW_LEARNT), forest(rows), outcomes(rows)):
        drawing.figure.canvas.draw()
        said = {"".join(text.split()) for text in texts(drawing.figure)}
        missing = [name for name in names if name not in said]
        assert missing == ([names[7]] if drawing.what.startswith("tradeoff") else [])
        for text in drawing.figure.texts:
            box = text.get_window_extent()
            assert 0 <= box.x0 <= box.x1 <= drawing.figure.bbox.width
            assert 0 <= box.y0 <= box.y1 <= drawing.figure.bbox.height
