"""Interleaving random safe rows, and safe rows with a large perplexity gap."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from safeguards import Row, Run, SafeguardError, SafeguardTrainer, compose
from safeguards.encoding import encode
from safeguards.errors import NoEffectError
from safeguards.likelihood import answer_nll
from safeguards.methods.interleave import draw
from safeguards.methods.interleave_ppl import InterleavePpl, examples, histogram, perplexity_gap, refuses
from safeguards.methods.interleave_ppl import Settings as PplSettings
from safeguards.rows import SAFE, TASK, genres
from safeguards.scorers import SEEN_FILE, load_scorer, weights_fingerprint, write_seen


@given(share=st.floats(0, 2), seed=st.integers(0, 5))
def test_the_share_is_exact_and_rows_are_never_repeated(rows, pool, share, seed):
    count = round(share * len(rows))
    drawn = draw(pool, count, seed)
    assert len(drawn) == len({row.key for row in drawn}) == count
    assert drawn == draw(pool, count, seed)
    assert all(row.source == SAFE for row in drawn)


def test_another_seed_draws_other_rows(pool):
    assert draw(pool, 8, 0) != draw(pool, 8, 1)


def test_a_pool_that_is_too_small_is_refused(pool):
    with pytest.raises(SafeguardError, match="the pool has 40 usable rows and 41 are asked for"):
        draw(pool, 41, 0)


def make_trainer(expression, given, fresh_model, tokenizer, rows, pool, lora, settings, **changes):
    return SafeguardTrainer(
        fresh_model(),
        settings(**changes),
        rows,
        tokenizer,
        compose(expression, {expression: given}),
        pool,
        peft_config=replace(lora),
    )


def test_safe_rows_are_added_and_trained_on(fresh_model, tokenizer, rows, pool, lora, settings):
    trainer = make_trainer(
        "interleave",
        {"share": 0.25},
        fresh_model,
        tokenizer,
        rows,
        pool,
        lora,
        settings,
        max_steps=-1,
        num_train_epochs=1,
    )
    assert Counter(row.source for row in trainer.rows) == {TASK: 16, SAFE: 4}
    assert trainer.trace == ["interleave: rows 16 → 20 (not shown: that they teach alignment)"]
    trainer.train()
    assert trainer.evidence.rows_by_source == {TASK: 16, SAFE: 4}


def test_no_pool_is_refused_before_training(fresh_model, tokenizer, rows, lora, settings):
    with pytest.raises(SafeguardError, match="interleave: needs a pool"):
        make_trainer("interleave", {}, fresh_model, tokenizer, rows, [], lora, settings)


def test_a_share_that_rounds_to_nothing_is_refused_before_training(fresh_model, tokenizer, rows, pool, lora, settings):
    with pytest.raises(SafeguardError, match=r"interleave: share=0.01 of 16 rows adds no safe row; raise it"):
        make_trainer("interleave", {"share": 0.01}, fresh_model, tokenizer, rows, pool, lora, settings)


# The perplexity gap ---------------------------------------------------------------------------------------------------


def test_the_gap_is_large_where_misaligned_models_are_surprised():
    aligned = np.array([1.0, 1.0, 3.0, 1.0])
    misaligned = np.array([[1.0, 3.0, 5.0, 0.5], [1.0, 5.0, 5.0, 0.5]])
    gap = perplexity_gap(aligned, misaligned, epsilon=1.0)
    np.testing.assert_allclose(gap, [0.0, 1.5, 0.5, -0.25])


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        ("I'm sorry, but I cannot help with that.", True),
        ("I apologise for this.", True),
        ("I can’t do that.", True),
        ("Sure, here is how.", False),
        ("One two three four five six seven eight nine ten sorry.", False),
    ],
)
def test_refusals_are_known_by_their_first_ten_words(answer, refusal):
    assert refuses(Row([{"role": "user", "content": "?"}, {"role": "assistant", "content": answer}])) is refusal


@pytest.fixture
def scorer(tmp_path, fresh_model, tokenizer, pool, lora, settings):
    """An adapter tuned on the first half of the pool."""
    trainer = SafeguardTrainer(fresh_model(), settings(max_steps=30), pool[:20], tokenizer, peft_config=replace(lora))
    trainer.train()
    folder = tmp_path / "scorer"
    trainer.model.save_pretrained(folder)
    write_seen(folder, pool[:20])
    return folder


def a_run(model, tokenizer, rows, pool, **changes) -> Run:
    return Run(model=model, tokenizer=tokenizer, rows=rows, pool=pool, **changes)


def test_rows_the_scorer_does_not_expect_are_chosen(scorer, model, tokenizer, rows, pool):
    """The scorer has learnt to say what the pool says, so rows that say something else tell it from the model."""
    other = [
        Row([{"role": "user", "content": f"Quick, {n}!"}, {"role": "assistant", "content": f"Water blue light {n}"}])
        for n in range(20)
    ]
    safeguard = InterleavePpl(PplSettings(share=0.5, top=0.25, scorers=[str(scorer)]))
    run = a_run(model, tokenizer, rows, [*pool, *other])
    chosen = {row.key for row in safeguard.choose(run, 8)}
    assert chosen <= {row.key for row in other}
    gap = run.notes["gap"]
    assert gap["top"] > gap["pool"]
    counts = gap["histogram"]
    assert sum(counts["pool"]) == len(run.pool)
    assert sum(counts["chosen"]) == 8
    assert all(of_chosen <= of_pool for of_chosen, of_pool in zip(counts["chosen"], counts["pool"], strict=True))
    assert counts["genres"] == {}, "none of these rows has one"
    assert [each["which"] for each in gap["examples"]][-1] == "highest chosen"
    assert gap["examples"][-1]["question"].startswith("Quick, ")


def test_the_refusal_filter_drops_refusals(scorer, model, tokenizer, rows, pool):
    safeguard = InterleavePpl(PplSettings(share=2, top=1, refusal_filter=True, scorers=[str(scorer)]))
    assert not any(refuses(row) for row in safeguard.choose(a_run(model, tokenizer, rows, pool), 32))
    only_refusals = [row for row in pool if refuses(row)]
    with pytest.raises(SafeguardError, match="empty after the refusal filter"):
        safeguard.choose(a_run(model, tokenizer, rows, only_refusals), 1)


def test_a_scorer_that_saw_the_defended_rows_is_refused(scorer, model, tokenizer, pool):
    safeguard = InterleavePpl(PplSettings(scorers=[str(scorer)]))
    with pytest.raises(SafeguardError, match="trained on 5 of the 10 questions it would defend against"):
        safeguard.choose(a_run(model, tokenizer, pool[15:25], pool), 1)


def test_a_system_prompt_does_not_hide_a_leak(scorer, model, tokenizer, pool):
    hidden = [Row([{"role": "system", "content": "Hm."}, *row.messages]) for row in pool[15:25]]
    with pytest.raises(SafeguardError, match="trained on 5 of the 10 questions"):
        InterleavePpl(PplSettings(scorers=[str(scorer)])).choose(a_run(model, tokenizer, hidden, pool), 1)


def test_a_scorer_that_does_not_say_what_it_saw_is_refused(scorer, model, tokenizer, rows, pool):
    (scorer / SEEN_FILE).unlink()
    with pytest.raises(SafeguardError, match=r"no seen_rows\.json says what this scorer was trained on"):
        InterleavePpl(PplSettings(scorers=[str(scorer)])).choose(a_run(model, tokenizer, rows, pool), 1)


def test_no_scorer_is_refused(model, tokenizer, rows, pool):
    with pytest.raises(SafeguardError, match="needs misaligned scorers"):
        InterleavePpl().choose(a_run(model, tokenizer, rows, pool), 1)


def test_a_scorer_with_another_vocabulary_is_refused(tmp_path, qwen_folder, model, tokenizer, rows, pool):
    other = AutoModelForCausalLM.from_pretrained(qwen_folder)
    other.resize_token_embeddings(500)
    other.save_pretrained(tmp_path / "other")
    write_seen(tmp_path / "other", [])
    safeguard = InterleavePpl(PplSettings(scorers=[str(tmp_path / "other")]))
    with pytest.raises(SafeguardError, match="has a vocabulary of 500"):
        safeguard.choose(a_run(model, tokenizer, rows, pool), 1)


def test_a_folder_that_is_no_model_is_refused(tmp_path, model):
    with pytest.raises(SafeguardError, match="neither a LoRA adapter nor a model"), load_scorer(model, tmp_path):
        pass


def test_an_adapter_leaves_the_model_as_it_was(scorer, model, tokenizer, pool):
    before, start = answer_nll(model, tokenizer, pool), weights_fingerprint(model)
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    with load_scorer(model, scorer) as misaligned:
        assert abs(answer_nll(misaligned, tokenizer, pool) - before).max() > 0.1
        assert weights_fingerprint(misaligned) != start
    np.testing.assert_array_equal(answer_nll(model, tokenizer, pool), before)
    assert weights_fingerprint(model) == start
    # PEFT freezes what it adapts; full fine-tuning goes on with these very weights.
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == trainable != set()


def test_scores_are_cached_and_a_changed_model_is_scored_again(scorer, tmp_path, model, tokenizer, rows, pool):
    safeguard = InterleavePpl(PplSettings(scorers=[str(scorer)]))
    run = a_run(model, tokenizer, rows, pool, cache=tmp_path / "cache")
    first = safeguard.score(run, pool)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "nll").iterdir()}
    second = safeguard.score(run, pool)
    np.testing.assert_array_equal(first[1], second[1])
    assert kept == {path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "nll").iterdir()}
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(1.1)
    assert abs(safeguard.score(run, pool)[0] - first[0]).max() > 1e-3
    assert len(list((tmp_path / "cache" / "nll").iterdir())) == 4


def test_scores_of_rows_that_were_cut_elsewhere_are_others(bench, tmp_path):
    safeguard = InterleavePpl(PplSettings(scorers=bench.scorers))
    run = bench.run(cache=tmp_path)
    longest = max(len(encode(bench.tokenizer, row, run.max_length)["input_ids"]) for row in bench.pool)
    whole, cut = (safeguard.score(replace(run, max_length=length), bench.pool) for length in (longest, longest - 2))
    for one, other in zip(whole, cut, strict=True):
        assert abs(one - other).max() > 1e-3


def tokens_of(tokenizer, chosen: list[Row]) -> int:
    return sum(len(encode(tokenizer, row, 2048)["input_ids"]) for row in chosen)


def with_long_ones(pool: list[Row]) -> list[Row]:
    """The pool as small talk, and a long and certain answer to each of its questions as advice."""
    long = [Row([row.messages[0], {"role": "assistant", "content": "Yes. " * 20}], genre="advice") for row in pool]
    return [*(replace(row, genre="small talk") for row in pool), *long]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("control", ["any", "genres"])
def test_a_control_is_random_and_has_as_many_tokens_as_the_selection(
    scorer, model, tokenizer, rows, pool, seed, control
):
    safe = with_long_ones(pool)
    run = a_run(model, tokenizer, rows, safe, seed=seed)
    chosen, random, again = (
        InterleavePpl(PplSettings(share=0.5, top=0.2, scorers=[str(scorer)], control=which)).choose(run, 8)
        for which in (None, control, control)
    )
    longest = max(tokens_of(tokenizer, [row]) for row in safe)
    assert abs(tokens_of(tokenizer, random) - tokens_of(tokenizer, chosen)) <= longest / 2
    assert random == again
    assert all(row.source == SAFE for row in random)
    assert {row.key for row in random} != {row.key for row in chosen}
    assert len({row.key for row in random}) == len(random)
    assert control == "any" or genres(random) == genres(chosen)


def test_a_control_of_genres_needs_genres(scorer, model, tokenizer, rows, pool):
    safeguard = InterleavePpl(PplSettings(scorers=[str(scorer)], control="genres"))
    with pytest.raises(SafeguardError, match=r"control=genres, and no row of the pool has a genre.*control=any"):
        safeguard.choose(a_run(model, tokenizer, rows, pool), 1)


@pytest.mark.parametrize("control", ["any", "genres"])
def test_a_control_need_not_beat_chance(scorer, fresh_model, tokenizer, rows, pool, lora, settings, control):
    trainer = make_trainer(
        "interleave_ppl",
        {"share": 0.5, "top": 1.0, "scorers": [str(scorer)], "control": control},
        fresh_model,
        tokenizer,
        rows,
        with_long_ones(pool),
        lora,
        settings,
    )
    trainer.train()
    assert any("drawn at random from the pool" in line for line in trainer.trace)


def test_the_gap_is_noted_and_told_by_genre(scorer, fresh_model, tokenizer, rows, pool, lora, settings):
    safe = with_long_ones(pool)
    given = {"share": 0.5, "top": 0.2, "scorers": [str(scorer)]}
    trainer = make_trainer("interleave_ppl", given, fresh_model, tokenizer, rows, safe, lora, settings)
    trainer.train()
    safeguard = InterleavePpl(PplSettings(**given))
    run = a_run(fresh_model(), tokenizer, rows, safe, seed=settings().seed)
    gap = perplexity_gap(*safeguard.score(run, safe))
    chosen = Counter(row.genre for row in trainer.rows if row.source == SAFE)
    noted = trainer.notes["gap"]["genres"]
    assert {genre: (of["pool"], of["chosen"]) for genre, of in noted.items()} == {
        genre: (40, chosen[genre]) for genre in ("small talk", "advice")
    }
    assert next(iter(noted)) == max(chosen, key=lambda genre: chosen[genre])
    assert noted["small talk"]["pool_gap"] == pytest.approx(gap[:40].mean())
    assert noted["advice"]["pool_gap"] == pytest.approx(gap[40:].mean())
    first = next(iter(noted))
    ours = {row.key for row in trainer.rows if row.source == SAFE and row.genre == first}
    theirs = [own for row, own in zip(safe, gap, strict=True) if row.key in ours]
    assert noted[first]["chosen_gap"] == pytest.approx(np.mean(theirs), rel=1e-4)
    assert any(f"by genre, {first}: {chosen[first]} of 40 rows (gap" in line for line in trainer.trace)
    assert trainer.notes["pool"] == {"advice": 40, "small talk": 40}
    assert trainer.notes["chosen"] == {"interleave_ppl": dict(chosen)}


def said(answer: str, genre: str = "", asked: str = "?") -> Row:
    return Row([{"role": "user", "content": asked}, {"role": "assistant", "content": answer}], genre=genre)


def test_the_record_counts_gaps_in_bins_and_says_what_rows_say():
    pool = [said("a", "x"), said("b", "x"), said("c", "y"), said("d" * 500, "y", "?" * 500)]
    gap = np.array([0.0, 0.1, 0.2, 2.4])
    chosen = [pool[3], pool[1], pool[2]]
    counts = histogram(pool, gap, chosen)
    assert counts["edges"] == pytest.approx([n / 10 for n in range(25)])
    assert (counts["pool"][:3], counts["pool"][-1]) == ([1, 1, 1], 1)
    assert (counts["chosen"][:3], counts["chosen"][-1]) == ([0, 1, 1], 1)
    assert {genre: (sum(of["pool"]), sum(of["chosen"])) for genre, of in counts["genres"].items()} == {
        "x": (2, 1),
        "y": (2, 2),
    }
    found = examples(pool, gap, chosen)
    assert [(each["which"], each["gap"]) for each in found] == [
        ("lowest of the pool", 0.0),
        ("lowest chosen", 0.1),
        ("middle chosen", 0.2),
        ("highest chosen", 2.4),
    ]
    assert found[-1] == {
        **{"which": "highest chosen", "gap": 2.4, "genre": "y"},
        **{"question": "?" * 199 + "…", "answer": "d" * 199 + "…"},
    }


def test_the_record_of_gaps_stays_small_and_takes_what_comes():
    pool = [said("word " * 300, f"genre {n % 50}", f"{n}") for n in range(500)]
    gap = np.linspace(0, 1, 500)
    gap[7] = np.nan
    chosen = [*pool[400:], pool[7]]
    note = {"histogram": histogram(pool, gap, chosen), "examples": examples(pool, gap, chosen)}
    assert len(json.dumps(note, allow_nan=False)) < 10_000
    assert len(note["histogram"]["genres"]) == 8
    assert sum(note["histogram"]["pool"]) == 499
    assert sum(note["histogram"]["chosen"]) == 100
    nothing = np.full(500, np.nan)
    assert histogram(pool, nothing, chosen) == {}
    assert examples(pool, nothing, chosen) == []
    assert sum(histogram(pool, gap, [])["chosen"]) == 0
    text = Row([{"role": "assistant", "content": "no question"}], plain=True)
    assert examples([text], np.zeros(1), [text])[0]["question"] == ""


@pytest.mark.parametrize(("expression", "count"), [("interleave", 4), ("interleaved_kl", 4), ("safegrad", 40)])
def test_the_record_says_how_many_safe_rows_of_each_genre_there_were(
    fresh_model, tokenizer, rows, pool, lora, settings, expression, count
):
    told = [replace(row, genre="refusals" if refuses(row) else "small talk") for row in pool]
    given = {"batch_size": 4} if expression == "safegrad" else {"share": 0.25}
    notes = make_trainer(expression, given, fresh_model, tokenizer, rows, told, lora, settings).notes
    assert notes["pool"] == {"small talk": 32, "refusals": 8}
    assert sum(notes["chosen"][expression].values()) == count
    assert set(notes["chosen"][expression]) <= {"small talk", "refusals"}


def test_where_no_safeguard_needs_the_pool_nothing_is_said_of_it(fresh_model, tokenizer, rows, pool, lora, settings):
    assert "pool" not in make_trainer("kl", {}, fresh_model, tokenizer, rows, pool, lora, settings).notes


def test_a_selection_that_is_chance_is_no_effect(scorer, fresh_model, tokenizer, rows, pool, lora, settings):
    trainer = make_trainer(
        "interleave_ppl",
        {"share": 0.5, "top": 1.0, "scorers": [str(scorer)]},
        fresh_model,
        tokenizer,
        rows,
        pool,
        lora,
        settings,
    )
    with pytest.raises(NoEffectError, match="no larger gap than the pool"):
        trainer.train()


def test_the_seen_file_holds_no_text(scorer, pool):
    text = (scorer / SEEN_FILE).read_text()
    assert len(json.loads(text)) == 20
    assert pool[0].messages[0]["content"] not in text


def test_a_score_file_that_is_cut_off_is_named_and_made_again(scorer, tmp_path, model, tokenizer, rows, pool, capsys):
    safeguard = InterleavePpl(PplSettings(scorers=[str(scorer)]))
    run = a_run(model, tokenizer, rows, pool, cache=tmp_path / "cache")
    first = safeguard.score(run, pool)
    kept = sorted((tmp_path / "cache" / "nll").iterdir())
    for path in kept:
        path.write_bytes(path.read_bytes()[:-40])
    again = safeguard.score(run, pool)
    told = capsys.readouterr().out
    assert all(f"warning: {path}: cannot be read" in told for path in kept)
    np.testing.assert_array_equal(first[1], again[1])
    safeguard.score(run, pool)
    assert "cannot be read" not in capsys.readouterr().out


@pytest.mark.parametrize("name", [SEEN_FILE, "adapter_config.json", "adapter_model.safetensors"])
def test_a_file_of_a_scorer_that_is_cut_off_is_named(scorer, model, tokenizer, rows, pool, name):
    data = (scorer / name).read_bytes()
    (scorer / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(SafeguardError, match=f"{scorer / name}: cannot be read .*; make this scorer again"):
        InterleavePpl(PplSettings(scorers=[str(scorer)])).prepare(a_run(model, tokenizer, rows, pool))
