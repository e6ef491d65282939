"""Answers in columns: what goes in comes out, in little room."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path

import pytest
from page.made_up import MadeUp, answer

from experiments.page.answers import Columns, every_answer, packed, rounded
from experiments.records.files import DamagedError
from experiments.records.outcomes import Score
from experiments.report.report import Wanted, make_report

ANSWERS = [answer("Yes.", sample=0), answer("No.", sample=1), answer("Yes.", "How?", sample=0, expected=["Yes."])]
SCORES = [Score("aligned", "", 81.26, 90.0), Score("misaligned", "harm", 3.0, 80.0), Score("unscored", "no number")]


@pytest.fixture
def sweep(tmp_path) -> MadeUp:
    return MadeUp(tmp_path / "outputs" / "mine")


def test_columns_hold_each_text_once_and_every_score(sweep):
    columns = Columns()
    columns.add({"row": "kl"}, sweep.add("kl", ANSWERS, SCORES), "exact")
    found = columns.as_json()
    assert found["arms"] == [{"row": "kl"}]
    assert found["texts"] == ["Yes.", "No."]
    assert found["reasons"] == ["", "harm", "no number"]
    asked = {"set": "open", "cluster": "Why?", "messages": [["user", "Why?"]], "expected": []}
    how = {"set": "open", "cluster": "How?", "messages": [["user", "How?"]], "expected": ["Yes."]}
    assert found["questions"] == [{"id": "Why?", **asked}, {"id": "How?", **how}]
    assert found["columns"] == {
        "arm": [0, 0, 0],
        "question": [0, 0, 1],
        "sample": [0, 1, 0],
        "outcome": [0, 1, 4],
        "reason": [0, 1, 2],
        "text": [0, 1, 0],
        "aligned": [81.3, 3.0, None],
        "coherent": [90.0, 80.0, None],
    }, "nobody said how well an answer matches"


def test_what_is_no_number_is_no_score():
    assert [rounded(value) for value in (None, float("nan"), float("inf"), 1.04)] == [None, None, None, 1.0]


def test_scores_that_are_not_one_for_each_answer_are_refused(sweep):
    folder = sweep.add("kl", ANSWERS, SCORES[:2])
    with pytest.raises(DamagedError, match="not one score for each answer"):
        Columns().add({}, folder, "exact")


def test_packed_answers_are_the_same_again_and_no_markup():
    found = {"texts": ["</script>\u2028\ud800é"], "columns": {"arm": [0]}}
    text = packed(found)
    assert text == packed(found), "the same records make the same file"
    assert text.strip("=").replace("+", "").replace("/", "").isalnum()
    assert json.loads(gzip.decompress(base64.b64decode(text))) == found


def test_arms_are_in_the_order_of_the_rows_with_what_tells_them_apart(sweep):
    for seed in (1, 0):
        for name in ("kl", "none"):
            sweep.add(name, ANSWERS, SCORES, seed=seed)
    sweep.add("ldifs", ANSWERS, SCORES, done=False)
    report = make_report(sweep.output)
    assert report
    found = every_answer(report)
    assert [(arm["row"], arm["task"], arm["seed"]) for arm in found["arms"]] == [
        *(("kl", "medical", 1), ("kl", "medical", 0), ("none", "medical", 1), ("none", "medical", 0))
    ]
    assert len(found["columns"]["text"]) == 12


def test_of_several_worlds_each_has_its_own_folder(tmp_path):
    outputs = [tmp_path / "outputs" / name for name in ("w1", "w2")]
    for place, output in enumerate(outputs):
        sweep = MadeUp(output)
        for name in ("none", "kl"):
            sweep.add(name, [answer(f"{output.name} {name}")], [SCORES[0]], model={"name": "m", "world": place})
    report = make_report(tmp_path / "outputs" / "both", Wanted(worlds=outputs))
    assert report
    folders = map(report.folder, report.arms)
    assert sorted(str(Path(path).relative_to(tmp_path)) for path in folders) == [
        *("outputs/w1/arms/arm0", "outputs/w1/arms/arm1", "outputs/w2/arms/arm0", "outputs/w2/arms/arm1")
    ]
    found = every_answer(report)
    columns = found["columns"]
    said = {found["texts"][text]: found["arms"][arm] for arm, text in zip(columns["arm"], columns["text"], strict=True)}
    assert {text: (arm["world"], arm["row"]) for text, arm in said.items()} == {
        f"{world} {name}": (world, name) for world in ("w1", "w2") for name in ("none", "kl")
    }
