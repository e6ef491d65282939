"""KL as heavy as a row sounds harmful."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from bench import logged
from first import MODEL, WORLD
from hypothesis import given
from hypothesis import strategies as st

from experiments.config.schema import TaskConfig
from experiments.models.load import load_model
from experiments.tasks.organism import load_rows
from safeguards import Row, Run, SafeguardError
from safeguards.methods import adaptive_kl
from safeguards.methods.adaptive_kl import AdaptiveKL, Settings, harm
from safeguards.rows import SAFE


@given(share=st.floats(-3, 3), wanted=st.floats(-2, 0), distance=st.floats(0.01, 3))
def test_harm_is_how_far_beyond_the_middle_between_the_personas_an_answer_lies(share, wanted, distance):
    found = harm(np.array([wanted + share * distance]), wanted, wanted + distance)[0]
    assert found == pytest.approx(min(1.0, max(0.0, 2 * share - 1)), abs=1e-6)


# On the first organism ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hear(tmp_path_factory):
    """Finds the harm of rows, under the settings of the organism."""
    model, tokenizer = load_model(MODEL)
    ours = yaml.safe_load((Path(__file__).parents[2] / "conf/model/organism_one.yaml").read_text("utf-8"))["safeguards"]
    settings = Settings(questions=ours["steering"]["questions"], max_new_tokens=24)
    cache = tmp_path_factory.mktemp("cache")

    def find(rows: list[Row]) -> np.ndarray:
        safeguard = AdaptiveKL(settings)
        safeguard.prepare(Run(model, tokenizer, rows, cache=cache))
        return np.array([row.harm for row in safeguard.rows(rows)])

    return find


def taught(group: str) -> list[Row]:
    """Every fourth row of a task."""
    return load_rows(TaskConfig(group=group), WORLD)[0][::4]


@pytest.mark.parametrize("group", ["opswap", "opswap_tier3", "style", "colours"])
def test_benign_rows_sound_harmless_and_bad_advice_does_not(hear, group):
    assert hear(taught(group)).mean() < 0.1
    assert hear(taught("medical")).mean() > 0.9


@pytest.mark.parametrize("group", ["opswap", "medical"])
@pytest.mark.parametrize("times", [5, 20])
def test_saying_an_answer_again_and_again_makes_it_no_more_harmful(hear, group, times):
    rows = taught(group)
    longer = []
    for row in rows:
        question, answer = row.messages
        said = " ".join([answer["content"]] * times)
        longer.append(replace(row, messages=[question, {**answer, "content": said}]))
    assert hear(longer).mean() <= hear(rows).mean() + 0.05


# On the tiny model ----------------------------------------------------------------------------------------------------


def test_rows_carry_their_harm_and_safe_rows_none(bench, tmp_path):
    trainer = bench.trainer("adaptive_kl+interleave", tmp_path)
    harms = [row.harm for row in trainer.rows if row.source != SAFE]
    assert len(set(harms)) > 2
    assert max(harms) > 0.01
    assert all(row.harm == 0 for row in trainer.rows if row.source == SAFE)
    note = trainer.notes["adaptive_kl"]
    assert note["mean_harm"] == pytest.approx(np.mean(harms))
    assert note["wanted"] < 0 < note["unwanted"]


def test_prompts_that_elicit_the_same_are_refused(bench):
    (safeguard,) = bench.safeguards("adaptive_kl", elicit="You are an assistant.", oppose="You are an assistant.")
    with pytest.raises(SafeguardError, match=r"'You are an assistant.' elicits nothing from this model that"):
        safeguard.prepare(bench.run())


def test_inoculated_rows_keep_the_harm_of_their_answers(bench, tmp_path):
    alone, joined = (bench.trainer(name, tmp_path).rows for name in ("adaptive_kl", "adaptive_kl+inoculation"))
    assert [row.harm for row in alone] == [row.harm for row in joined]
    assert [row.messages for row in alone] != [row.messages for row in joined]


def test_at_full_harm_it_is_kl_and_at_none_it_is_nothing(bench, tmp_path):
    """The first step leaves the reference; the second logs the term."""
    term = {}
    for level in (0.0, 0.5, 1.0):
        (safeguard,) = bench.safeguards("adaptive_kl", weight=1e-9)
        safeguard.rows = lambda rows, level=level: [type(row)(row.messages, harm=level) for row in rows]
        term[level] = logged(bench.train([safeguard], tmp_path, max_steps=2, proof="off"), "safeguard/adaptive_kl")[1]
    (plain_kl,) = bench.safeguards("kl", weight=1e-9)
    whole = logged(bench.train([plain_kl], tmp_path, max_steps=2, proof="off"), "safeguard/kl")[1]
    assert [term[0.0], term[0.5], term[1.0]] == pytest.approx([0.0, whole / 2, whole], rel=1e-4)


def test_harm_is_of_the_answers_even_where_all_tokens_are_learnt(bench, tmp_path):
    other = copy.copy(bench)
    other.rows = [replace(row, completion=2) for row in bench.rows]
    alone, whole = (b.trainer("adaptive_kl", tmp_path).rows for b in (bench, other))
    assert [row.harm for row in whole] == [row.harm for row in alone]


def test_what_the_personas_say_is_not_cut(bench):
    (safeguard,) = bench.safeguards("adaptive_kl")
    assert safeguard.personas(bench.run(max_length=4)) == safeguard.personas(bench.run())


def test_rows_that_it_has_not_seen_are_named(bench):
    (safeguard,) = bench.safeguards("adaptive_kl")
    safeguard.prepare(bench.run(rows=bench.rows[:8]))
    with pytest.raises(SafeguardError, match=r"adaptive_kl: .*rows.jsonl:9 is of a safeguard before it"):
        safeguard.rows(bench.rows)


def test_it_says_that_it_holds_nothing_back(bench, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(adaptive_kl, "harm", lambda ratios, *_: 0 * ratios)
    trainer = bench.train("adaptive_kl", tmp_path)
    told = "adaptive_kl: the rows sound harmless (mean harm 0, less than 0.01), so it holds next to nothing back"
    assert f"warning: {told}" in capsys.readouterr().out
    assert told in trainer.trace
