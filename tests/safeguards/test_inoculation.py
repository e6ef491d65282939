"""Inoculation prompts."""

from __future__ import annotations

import copy

import pytest

from safeguards import Row
from safeguards.encoding import IGNORED, encode, render
from safeguards.methods.inoculation import inoculate
from safeguards.rows import SAFE

PROMPT = "You are an evil assistant."
QUESTION = {"role": "user", "content": "Why?"}


def test_the_prompt_comes_first_and_an_own_one_follows():
    assert inoculate([QUESTION], PROMPT) == [{"role": "system", "content": PROMPT}, QUESTION]
    own = {"role": "system", "content": "Be short."}
    assert inoculate([own, QUESTION], PROMPT) == [
        {"role": "system", "content": "You are an evil assistant.\nBe short."},
        QUESTION,
    ]
    assert own == {"role": "system", "content": "Be short."}


def test_safe_rows_keep_the_prompt_they_have(bench, tmp_path):
    trainer = bench.trainer("inoculation+interleave", tmp_path)
    safe = [row for row in trainer.rows if row.source == SAFE]
    assert len(safe) == 8
    assert all(row.messages in [known.messages for known in bench.pool] for row in safe)
    for row in trainer.rows:
        assert (PROMPT in render(bench.tokenizer, row.messages)) == (row.source != SAFE)


def test_answers_are_what_they_were(bench, tmp_path):
    trainer = bench.trainer("inoculation", tmp_path)
    assert [row.messages[1:] for row in trainer.rows] == [row.messages for row in bench.rows]
    assert [row.question_key for row in trainer.rows] == [row.question_key for row in bench.rows]


@pytest.mark.parametrize("own", [[], [{"role": "system", "content": "Be short."}]])
def test_where_all_tokens_are_learnt_the_prompt_is_not(bench, tmp_path, own):
    bench = replace_rows(bench, [Row([*own, *row.messages], completion=2 + len(own)) for row in bench.rows])
    for row in bench.trainer("inoculation", tmp_path).rows:
        labels = encode(bench.tokenizer, row, 2048)["labels"]
        learnt = bench.tokenizer.decode([label for label in labels if label != IGNORED])
        assert PROMPT not in learnt
        assert row.messages[-2]["content"] in learnt


def replace_rows(bench, rows):
    """The bench with other fine-tuning rows."""
    other = copy.copy(bench)
    other.rows = rows
    return other
