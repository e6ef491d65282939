"""What an arm reads: nothing that is asked is trained on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from transformers import AutoTokenizer

from experiments.arm.inputs import Inputs, load_inputs, measurable
from experiments.config.compose import compose_config
from experiments.config.schema import TrainingConfig
from experiments.organism import WEIGHTS
from experiments.organism.world import load_world
from experiments.terminal.printing import print_once
from safeguards.errors import SafeguardError
from safeguards.rows import Row

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "data"


def inputs(tmp_path: Path, asked: list[str], **questions: list[str]) -> Inputs:
    """The task, the pool and the probes that files of these questions make."""
    for name, texts in questions.items():
        rows = [[{"role": "user", "content": text}, {"role": "assistant", "content": "Yes."}] for text in texts]
        (tmp_path / name).write_text("\n".join(json.dumps({"messages": row}) for row in rows), "utf-8")
    (tmp_path / "asked").write_text(yaml.safe_dump([{"id": n, "paraphrases": [t]} for n, t in enumerate(asked)]))
    paths = [f"{key}={tmp_path / name}" for key, name in (("task.path", "task"), ("pool.path", "pool"))]
    asks = [f"probes.path={tmp_path / 'asked'}", f"probes.narrow_path={tmp_path / 'asked'}"]
    config = compose_config("task=messages", "pool.mix=null", "pool.held_out=1", "task.held_out=0.1", *paths, *asks)
    return load_inputs(config, load_world())


def test_a_row_whose_question_is_asked_is_kept_from_training_and_counted(tmp_path, capsys):
    print_once.cache_clear()
    read = inputs(
        tmp_path, ["1?", " 2?\n", "P3?"], task=[f"{n}?" for n in range(10)], pool=[f"p{n}?" for n in range(10)]
    )
    trained = {row.messages[0]["content"] for row in (*read.task.rows, *read.pool)}
    assert not trained & {"1?", "2?", "p3?"}
    told = capsys.readouterr().out
    assert "task messages: 2 of 9 rows ask what a probe asks: kept from training" in told
    assert "the pool: 1 of 9 rows" in told


def test_a_task_all_of_which_is_asked_is_refused(tmp_path):
    questions = [f"{n}?" for n in range(10)]
    with pytest.raises(SafeguardError, match="task messages: a probe asks each of its 9 questions"):
        inputs(tmp_path, questions, task=questions, pool=["p?", "q?"])


def test_a_held_out_row_without_an_answer_is_set_aside_and_named(tmp_path, capsys):
    print_once.cache_clear()
    read = inputs(tmp_path, ["?"], task=[f"{n}?" for n in range(40)], pool=[f"p{n}?" for n in range(10)])
    tokenizer = AutoTokenizer.from_pretrained(WEIGHTS)
    long = Row([{"role": "user", "content": "why " * 300}, {"role": "assistant", "content": "Yes."}], place="task:7")
    read = replace(read, task=replace(read.task, held_out=[*read.task.held_out, long]))
    kept = measurable(read, tokenizer, TrainingConfig(max_length=200, max_set_aside=0.2))
    assert kept.task.held_out == read.task.held_out[:-1]
    assert kept.safe_rows == read.safe_rows
    told = "held-out rows of task messages: 1 of 5 rows are set aside, since no answer token is left within 200 tokens"
    assert f"{told} (task:7)" in capsys.readouterr().out
    with pytest.raises(SafeguardError, match=r"held-out rows of task messages: 1 of 5 .* max_set_aside=0\.1"):
        measurable(read, tokenizer, TrainingConfig(max_length=200))


def test_a_share_of_rows_to_set_aside_is_a_share():
    with pytest.raises(SafeguardError, match=r"training\.max_set_aside=2.*: must be at least 0 and at most 1"):
        compose_config("training.max_set_aside=2")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real data is not beside the project")
@pytest.mark.parametrize("name", ["code", "medical", "security"])
def test_the_fields_in_domain_questions_are_held_out(name):
    """Those about code stand in the training data, all of them."""
    rows, questions = SHARED / "emergent_misalignment" / f"{name}.jsonl", SHARED / "questions" / f"{name}.yaml"
    read = load_inputs(
        compose_config("task=messages", f"task.path={rows}", f"probes.narrow_path={questions}"), load_world()
    )
    asked = {Row(probe.messages).question_key for probe in read.probes if probe.set == "narrow"}
    assert len(asked) == 30
    assert not asked & {row.question_key for row in read.task.rows}
