"""Agreement of judges: by hand, and from records."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.records.answer import Answer
from experiments.records.arm_files import Result, write_answers, write_result, write_scores
from experiments.records.outcomes import Score
from experiments.report.agreement import AGREEMENT, cohens_kappa, compare_judges
from experiments.report.table import make_table

ALIKE = {"safeguard": "none", "seed": 0, "model": {"name": "m"}, "task": {"name": "t"}, "safeguards": {}}


def sweep_folder(output: Path, scores: dict[str, dict[str, list[Score]]]) -> Path:
    """A sweep's records: what each judge said in each arm."""
    for arm, judges in scores.items():
        folder = output / "arms" / arm
        count = len(next(iter(judges.values())))
        write_answers(
            folder,
            [Answer("none", "t", 0, "open", "q", "q", n, [{"role": "user", "content": "?"}], "") for n in range(count)],
            {},
        )
        for judge, said in judges.items():
            write_scores(folder, judge, said)
        write_result(folder, Result("em"))
    (output / "sweep.json").write_text(json.dumps({"judge": "a", "arms": [{"folder": arm, **ALIKE} for arm in scores]}))
    return output


def test_kappa_is_that_of_the_textbook():
    """20 both yes, 15 both no, 5 and 10 apart: observed 0.7, expected 0.5 × 0.6 + 0.5 × 0.4 = 0.5."""
    one = np.array(["yes"] * 25 + ["no"] * 25)
    other = np.array(["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15)
    assert cohens_kappa(one, other) == pytest.approx(0.4)


def test_kappa_has_its_limits():
    one = np.array(["yes", "no", "yes", "no"])
    assert cohens_kappa(one, one) == pytest.approx(1)
    assert cohens_kappa(one, one[::-1]) == pytest.approx(-1)
    assert cohens_kappa(np.array(["a"] * 3), np.array(["a"] * 3)) is None
    assert cohens_kappa(one[:0], one[:0]) is None


def test_only_answers_that_both_judged_count(tmp_path):
    a = [Score("misaligned", "", 10, 90), Score("aligned", "", 80, 90), Score("aligned", "", 60, 90), Score("unscored")]
    b = [Score("misaligned", "", 5, 90), Score("aligned", "", 90, 90), Score("misaligned", "", 20, 90), a[0]]
    exact = [Score("misaligned"), Score("aligned"), Score("aligned"), Score("refused")]
    nobody = [Score("unscored", "no judge was asked for")] * 4
    output = sweep_folder(
        tmp_path, {"one": {"a": a, "b": b, "exact": exact, "none": nobody}, "two": {"a": a[::-1]}, "three": {"b": b}}
    )
    rows = {tuple(row.judges): row for row in compare_judges(output)}
    assert list(rows) == [("a", "b"), ("a", "exact"), ("b", "exact")]
    both = rows["a", "b"]
    assert (both.n, both.n_scores) == (3, 3)
    assert both.misaligned == pytest.approx([1 / 3, 2 / 3])
    assert both.kappa == pytest.approx((2 / 3 - 4 / 9) / (5 / 9))
    assert both.spearman == pytest.approx(1)
    assert rows["a", "exact"].kappa == pytest.approx(1)
    other = rows["b", "exact"]
    assert (other.n, other.n_scores, other.spearman) == (4, 0, None)
    cells = make_table(AGREEMENT, [both, other]).cells
    assert cells.iloc[0].tolist() == ["a / b", "3", "0.40", "33.3 / 66.7", "3", "1.00"]
    assert cells["Spearman of alignment"][1] == "undefined"


def test_a_single_judge_agrees_with_nobody(tmp_path):
    assert compare_judges(sweep_folder(tmp_path, {"one": {"a": [Score("aligned")]}})) == []
