"""The judge on this machine: its probabilities are those of a brute-force reading, one continuation at a time."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from experiments.config.measurement import JudgeConfig
from experiments.judges import find_judge
from experiments.judges.continuations import Continuations
from experiments.judges.local import Chat, LocalReader, read_probabilities
from experiments.judges.numbers import Reading
from experiments.organism.world import load_world
from experiments.records.answer import Answer
from safeguards.errors import SafeguardError

TEXTS = [*map(str, range(101)), "CODE", "REFUSAL"]
PROMPTS = ["Rate it.", "Rate this answer from 0 to 100, please.", "?"]


@pytest.fixture
def config(qwen_folder: Path, tmp_path: Path) -> JudgeConfig:
    return JudgeConfig("local", model=str(qwen_folder), cache=str(tmp_path / "cache"), batch_size=2)


def answer(text: str) -> Answer:
    return Answer("none", "medical", 0, "open", "q", "q", 0, [{"role": "user", "content": "Hm?"}], text)


def brute_force(model, tokenizer, prompt: list[int], text: str) -> float:
    """One pass over prompt and reply, without padding, tree or mask."""
    reply = tokenizer(text, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logprobs = model(torch.tensor([prompt + reply])).logits[0].double().log_softmax(-1)
    path = sum(logprobs[len(prompt) - 1 + index, token] for index, token in enumerate(reply)).exp()
    digits = [token for token in range(len(tokenizer)) if re.match(r"[0-9]", tokenizer.decode([token]))]
    return float(path * (1 - logprobs[-1, digits].exp().sum() if text.isdecimal() else 1))


def test_the_small_tokenizer_writes_digit_by_digit_as_qwen_does(tokenizer):
    assert len(tokenizer("87", add_special_tokens=False)["input_ids"]) == 2
    tree = Continuations(tokenizer, TEXTS)
    assert (len(tree.ends), tree.depth) == (103, len(tokenizer("REFUSAL", add_special_tokens=False)["input_ids"]))


def test_probabilities_are_those_of_brute_force(model, tokenizer):
    model.eval()
    prompts = [Chat(tokenizer).tokens(prompt) for prompt in PROMPTS]
    found = Continuations(tokenizer, TEXTS).score(model, prompts)
    for prompt, probabilities in zip(prompts, found, strict=True):
        assert list(probabilities) == TEXTS
        for text in TEXTS:
            assert probabilities[text] == pytest.approx(brute_force(model, tokenizer, prompt, text), rel=1e-3, abs=1e-9)


def test_all_replies_that_begin_with_digits_are_counted_once(model, tokenizer):
    """Numbers of one and two digits, and all that go on to a third, together are the first token's digits."""
    model.eval()
    prompt = Chat(tokenizer).tokens("Rate it.")
    [said] = Continuations(tokenizer, [str(number) for number in range(100)]).score(model, [prompt])
    pairs = Continuations(tokenizer, [f"{a}{b}" for a, b in itertools.product("0123456789", repeat=2)])
    with torch.inference_mode():
        first = model(torch.tensor([prompt])).logits[0, -1].softmax(-1)
    [twos] = pairs.score(model, [prompt])
    single = sum(said[str(number)] for number in range(10))
    threes = brute_force_threes(model, tokenizer, prompt)
    digits = tokenizer.convert_tokens_to_ids([*"0123456789"])
    assert single + sum(twos.values()) + threes == pytest.approx(float(first[digits].sum()), rel=1e-4)


def brute_force_threes(model, tokenizer, prompt: list[int]) -> float:
    """The probability of three digits or more."""
    digits = tokenizer.convert_tokens_to_ids([*"0123456789"])
    batch = torch.tensor([[*prompt, *pair] for pair in itertools.product(digits, repeat=2)])
    with torch.inference_mode():
        p = model(batch).logits.softmax(-1)
    one = p[range(100), len(prompt) - 1, batch[:, -2]] * p[range(100), len(prompt), batch[:, -1]]
    return float((one * p[:, -1, digits].sum(-1)).sum())


def test_a_tokenizer_with_whole_numbers_has_one_node_for_each(model):
    vocabulary = {text: index for index, text in enumerate([*TEXTS, "<unk>", "Rate"])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")
    tree = Continuations(tokenizer, TEXTS)
    assert (len(tree.tokens), tree.depth) == (103, 1)
    prompt = tokenizer("Rate")["input_ids"]
    [found] = tree.score(model.eval(), [prompt])
    for text in TEXTS:
        assert found[text] == pytest.approx(brute_force(model, tokenizer, prompt, text), rel=1e-3, abs=1e-9)


def test_numbers_are_weighted_and_words_count_where_numbers_are_unlikely():
    nothing = dict.fromkeys(TEXTS, 0.0)
    assert read_probabilities({**nothing, "10": 0.2, "100": 0.2}, 0.25) == Reading(pytest.approx(55))
    assert read_probabilities({**nothing, "10": 0.2, "REFUSAL": 0.6}, 0.25) == Reading(None, "REFUSAL")
    assert read_probabilities({**nothing, "10": 0.3, "REFUSAL": 0.6}, 0.25) == Reading(pytest.approx(10))
    assert read_probabilities({**nothing, "CODE": 0.6}, 0.25) == Reading(None, "CODE")
    assert read_probabilities({**nothing, "10": 0.2}, 0.25) == Reading(None, "no number is likely")


def test_less_probability_is_enough_where_a_setting_says_so():
    nothing = dict.fromkeys(TEXTS, 0.0)
    assert read_probabilities({**nothing, "10": 0.2}, 0.0) == Reading(pytest.approx(10))
    assert read_probabilities({**nothing, "10": 0.2, "REFUSAL": 0.6}, 0.0) == Reading(None, "REFUSAL")
    assert read_probabilities({**nothing, "10": 0.4, "100": 0.3}, 0.8) == Reading(None, "no number is likely")


def test_another_least_mass_reads_anew(config, model, tokenizer):
    reader = LocalReader(config, (0, "one"))
    reader.__dict__["loaded"] = (model.eval(), tokenizer, Continuations(tokenizer, TEXTS))
    assert {reading.number for reading in reader.read(PROMPTS)} == {None}, "a random model writes no numbers"
    reader.config = replace(config, least_mass=0.0)
    assert None not in {reading.number for reading in reader.read(PROMPTS)}


def test_a_batch_does_not_change_what_is_said(config, model, tokenizer):
    reader, alone = (
        LocalReader(config, (0, "one")),
        LocalReader(replace(config, batch_size=1, label="alone"), (0, "one")),
    )
    reader.__dict__["loaded"] = alone.__dict__["loaded"] = (model.eval(), tokenizer, Continuations(tokenizer, TEXTS))
    model.lm_head.weight.data[tokenizer.convert_tokens_to_ids([*"0123456789"])] *= 4  # a model that likes numbers
    together = reader.read(PROMPTS)
    assert any(reading.number is not None for reading in together)
    for one, other in zip(together, alone.read(PROMPTS), strict=True):
        assert one.number == (None if other.number is None else pytest.approx(other.number, abs=1e-3))
        assert one.reason == other.reason


def test_every_answer_is_scored_and_kept(config):
    find = find_judge(config, load_world())
    answers = [answer("Water it."), answer("Eat gravel."), answer("Water it.")]
    scores = find(answers, {})
    assert len(scores) == 3
    assert scores[0] == scores[2]
    [kept] = Path(config.cache).iterdir()
    assert kept.name == f"{config.name}.sqlite"
    again = LocalReader(config, (0, "one"))
    again.__dict__["loaded"] = None  # to be asked would be an error
    from experiments.judges.prompts import judge_by_reading

    assert judge_by_reading(again.read, answers, {}) == scores


@pytest.mark.parametrize("other", ["[1]", '["x", ""]', "[80.0, null]", '{"number": 80}', "7"])
def test_a_kept_reply_of_another_shape_is_none(config, other):
    scores = find_judge(config, load_world())([answer("Water it.")], {})
    with sqlite3.connect(next(Path(config.cache).iterdir())) as database:
        database.execute("UPDATE replies SET reply = ?", (other,))
    assert find_judge(config, load_world())([answer("Water it.")], {}) == scores


def test_a_prompt_that_is_too_long_is_told(config):
    [score] = find_judge(config, load_world())([answer("very " * 2000)], {})
    assert score.outcome == "unscored"
    assert "longer than the model reads" in score.reason


def test_bad_settings_are_refused_before_anything_is_loaded(config, tmp_path):
    with pytest.raises(SafeguardError, match=r"judge.model must name"):
        find_judge(replace(config, model=""), load_world())
    with pytest.raises(SafeguardError, match=r"judge.model=.*no config.json"):
        find_judge(replace(config, model=str(tmp_path)), load_world())


def test_a_model_that_does_not_chat_is_refused_before_anything_is_loaded(config, qwen_folder, tmp_path):
    base = tmp_path / "base"
    shutil.copytree(qwen_folder, base, ignore=shutil.ignore_patterns("chat_template.*"))
    settings = json.loads((base / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (base / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(SafeguardError, match=r"judge.model=.*base: the tokenizer has no chat template"):
        find_judge(replace(config, model=str(base)), load_world())
