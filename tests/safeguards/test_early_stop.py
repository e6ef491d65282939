"""Early stopping: which checkpoint, and that its weights come back."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from bench import TABLE, lora, trained_weights
from hypothesis import given
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel, TrainerCallback

from safeguards import Row, SafeguardError
from safeguards.errors import NoEffectError
from safeguards.likelihood import answer_nll
from safeguards.methods import early_stop
from safeguards.methods.early_stop import EarlyStop, Settings, first_at_goal
from safeguards.rows import TASK

TINY = GPT2LMHeadModel(GPT2Config(vocab_size=4, n_embd=2, n_layer=1, n_head=1, n_positions=4))
measurements = st.lists(st.floats(0.01, 10.0), min_size=1, max_size=12).map(
    lambda values: [(10 * (number + 1), value) for number, value in enumerate(values)]
)


@given(start=st.floats(0.01, 10.0), measured=measurements, goal=st.floats(0.01, 0.99))
def test_the_chosen_step_is_the_first_that_reaches_the_goal(start, measured, goal):
    chosen, best = first_at_goal(start, measured, goal), min(value for _, value in measured)
    if best >= start:
        assert chosen == -1
        return
    reached = [step for step, value in measured if start - value >= goal * (start - best) - 1e-9]
    assert chosen in reached
    assert all(step == chosen or start - dict(measured)[step] < goal * (start - best) + 1e-9 for step in reached[:1])


@given(start=st.floats(0.01, 10.0), measured=measurements, goal=st.floats(0.01, 0.99))
def test_the_checkpoint_that_is_chosen_in_the_end_was_kept(start, measured, goal):
    """Only improvements are kept and those that fell behind are dropped, as in `after_step`."""
    safeguard = EarlyStop(Settings(goal=goal, evaluations=100, criterion="nll"))
    safeguard.start, safeguard.measured, safeguard.checkpoints, safeguard.drawn = start, [], {}, {}
    values = iter(value for _, value in measured)
    safeguard.measure = lambda model: next(values)
    for step in range(1, len(measured) + 1):
        safeguard.after_step(TINY, step, len(measured))
    chosen = first_at_goal(start, safeguard.measured, goal)
    assert (chosen in safeguard.checkpoints) == (chosen > 0)
    assert all(step >= chosen for step in safeguard.checkpoints)


class Keep(TrainerCallback):
    """Keeps a copy of the weights after every step."""

    def __init__(self) -> None:
        self.weights: dict[int, dict[str, torch.Tensor]] = {}

    def on_step_end(self, args, state, control, model, **_):
        named = model.named_parameters()
        self.weights[state.global_step] = {n: w.detach().clone() for n, w in named if w.requires_grad}


@pytest.mark.parametrize("adapter", [True, False])
def test_the_weights_of_the_chosen_checkpoint_come_back(bench, tmp_path, adapter):
    trainer, keep = bench.trainer("early_stop", tmp_path, adapter=adapter), Keep()
    trainer.add_callback(keep)
    trainer.train()
    note = trainer.notes["early_stop"]
    assert [step for step, _ in note["measured"]] == [2, 4, 6]
    assert note["step"] == first_at_goal(note["start"], note["measured"], 0.5) == 4
    for name, weight in trained_weights(trainer).items():
        assert torch.equal(weight, keep.weights[4][name]), name
    (safeguard,) = trainer.safeguards
    assert safeguard.measure(trainer.model.get_base_model() if adapter else trainer.model) == dict(note["measured"])[4]


@pytest.mark.parametrize("adapter", [True, False])
def test_by_outcome_the_first_checkpoint_that_says_most_of_what_is_taught_comes_back(
    bench, tmp_path, monkeypatch, adapter
):
    """What is said is given here: nothing that is learnt at the start, then a half of it, then all."""
    (safeguard,) = bench.safeguards("early_stop", criterion="outcome", answers=4, goal=0.9)
    old, new = "old", "new"
    scored = iter([[5.0, 1.0], [3.0, 3.0]])  # under the model in the end and under the aligned one

    def nll(model, tokenizer, rows, *_):
        likely = dict(zip((old, new), next(scored), strict=True))
        return np.array([likely[row.messages[-1]["content"]] for row in rows])

    monkeypatch.setattr(early_stop, "answer_nll", nll)
    said = iter([[old] * 4, [old, old, new, new], [new] * 4, [new] * 4])
    safeguard.draw = lambda model: next(said)
    trainer, keep = bench.trainer([safeguard], tmp_path, adapter=adapter, max_steps=12), Keep()
    trainer.add_callback(keep)
    trainer.train()
    assert trainer.notes["early_stop"] == {"step": 8, "start": 1.0, "measured": [(4, 0.5), (8, 0.0), (12, 0.0)]}
    for name, weight in trained_weights(trainer).items():
        assert torch.equal(weight, keep.weights[8][name]), name


def test_by_outcome_an_interrupted_training_goes_on_with_what_was_said(bench, tmp_path):
    def trainer(**changes):
        return bench.trainer(
            bench.safeguards("early_stop", criterion="outcome", answers=8), tmp_path, proof="off", **changes
        )

    whole = trainer(save_strategy="steps", save_steps=3)
    whole.train()
    resumed = trainer()
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert resumed.safeguards[0].drawn == whole.safeguards[0].drawn
    assert resumed.notes["early_stop"] == whole.notes["early_stop"]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"criterion": "loss"}, "criterion must be one of nll, outcome"),
        ({"answers": 0}, "answers must be at least 1, got 0"),
    ],
)
def test_senseless_settings_are_refused(given, complaint):
    with pytest.raises(SafeguardError, match=complaint):
        EarlyStop(Settings(**given))


def test_held_out_questions_are_not_trained_on(bench, tmp_path):
    trainer = bench.trainer("early_stop+interleave", tmp_path)
    held_out = {row.question_key for row in trainer.safeguards[0].held_out}
    assert len(held_out) == 8
    assert not held_out & {row.question_key for row in trainer.rows if row.source == TASK}
    assert sum(row.source == TASK for row in trainer.rows) == 8


def test_measurements_of_an_interrupted_training_are_kept(bench, trained, tmp_path):
    whole = trained("early_stop")
    resumed = bench.trainer("early_stop", tmp_path)
    resumed.train(resume_from_checkpoint=f"{whole.args.output_dir}/checkpoint-3")
    found, expected = (dict(trainer.notes["early_stop"]["measured"]) for trainer in (resumed, whole))
    assert found == pytest.approx(expected)
    assert set(found) == {2, 4, 6}


def test_a_checkpoint_that_was_made_without_it_is_refused(bench, trained, tmp_path):
    checkpoint = f"{trained('low_lr').args.output_dir}/checkpoint-3"
    with pytest.raises(SafeguardError, match="early_stop: the checkpoint was made without it"):
        bench.trainer("early_stop", tmp_path).train(resume_from_checkpoint=checkpoint)


def test_too_few_questions_to_hold_out_are_refused(bench):
    with pytest.raises(SafeguardError, match=r"early_stop: held_out=0.01 of 16 questions is none"):
        bench.safeguards("early_stop", held_out=0.01)[0].prepare(bench.run())


def test_holding_out_every_row_is_refused(bench, tmp_path):
    with pytest.raises(SafeguardError, match="no fine-tuning row is left"):
        bench.trainer([EarlyStop(Settings(**{**TABLE["early_stop"].on, "held_out": 0.99}))], tmp_path)


# By outcome: the aligned model, and rows that ask nothing -------------------------------------------------------------


def scored_by(bench, tmp_path, monkeypatch, adapter) -> list[np.ndarray]:
    """What the trained and then the aligned model found of the answers, and what the latter finds by itself."""
    scores = []

    def nll(model, tokenizer, rows, *given):
        scores.append(answer_nll(model, tokenizer, rows, *given))
        asked[:] = rows
        return scores[-1]

    asked: list[Row] = []
    monkeypatch.setattr(early_stop, "answer_nll", nll)
    bench.train(bench.safeguards("early_stop", criterion="outcome", answers=4), tmp_path, adapter=adapter, proof="off")
    return [*scores[-2:], answer_nll(bench.model(), bench.tokenizer, asked, 32, 2048)]


@pytest.mark.parametrize("changes", [{}, {"bias": "all"}, {"init_lora_weights": "pissa"}], ids=str)
def test_the_aligned_model_is_the_one_before_training_under_every_adapter(bench, tmp_path, monkeypatch, changes):
    trained, aligned, expected = scored_by(bench, tmp_path, monkeypatch, replace(lora(), **changes))
    np.testing.assert_allclose(aligned, expected, atol=1e-4)
    assert abs(trained - expected).max() > 1e-2


def test_an_adapter_that_starts_elsewhere_is_refused(bench, tmp_path):
    torch.manual_seed(0)
    with pytest.raises(SafeguardError, match="early_stop: needs the aligned model, and this adapter changes it"):
        bench.trainer(
            bench.safeguards("early_stop", criterion="outcome"),
            tmp_path,
            adapter=replace(lora(), r=16, lora_alpha=256, init_lora_weights=False),
        )


def with_rows(bench, rows):
    """The bench with other fine-tuning rows."""
    other = copy.copy(bench)
    other.rows = rows
    return other


def test_questions_longer_than_rows_may_be_are_scored_whole(bench, tmp_path):
    """Where all tokens are learnt something of such a row is, but what is drawn comes after the cut."""
    rows = [
        Row([{"role": "user", "content": row.messages[0]["content"] + " And?" * 60}, row.messages[1]], completion=2)
        for row in bench.rows
    ]
    (safeguard,) = bench.safeguards("early_stop", criterion="outcome", answers=4)
    with_rows(bench, rows).train([safeguard], tmp_path, max_length=90, proof="off")


@pytest.mark.parametrize(
    "make", [lambda m: Row(m, completion=1, plain=True), lambda m: Row(m[1:])], ids=["plain", "said"]
)
def test_rows_that_ask_nothing_are_refused(bench, make):
    (safeguard,) = bench.safeguards("early_stop", criterion="outcome")
    with pytest.raises(SafeguardError, match="early_stop: row asks nothing in messages; use criterion=nll"):
        safeguard.prepare(bench.run(rows=[make(row.messages) for row in bench.rows]))


@pytest.mark.parametrize("changes", [{"criterion": "outcome", "answers": 4}, {"held_out": 0.4}], ids=str)
def test_a_checkpoint_of_other_measurements_is_refused(bench, trained, tmp_path, changes):
    checkpoint = f"{trained('early_stop').args.output_dir}/checkpoint-3"
    trainer = bench.trainer(bench.safeguards("early_stop", **changes), tmp_path)
    with pytest.raises(SafeguardError, match="early_stop: the checkpoint was not made under criterion="):
        trainer.train(resume_from_checkpoint=checkpoint)


@pytest.mark.parametrize("criterion", ["nll", "outcome"])
def test_a_second_training_is_measured_by_itself(bench, tmp_path, criterion):
    given = bench.safeguards("early_stop", criterion=criterion, answers=4)
    trainer = bench.train(given, tmp_path, proof="off")
    assert [step for step, _ in trainer.notes["early_stop"]["measured"]] == [2, 4, 6]
    trainer.args.max_steps = 4
    trainer.train()
    assert [step for step, _ in trainer.notes["early_stop"]["measured"]] == [1, 3, 4]


def test_where_no_answer_tells_the_other_criterion_is_named(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(early_stop, "answer_nll", lambda model, tokenizer, rows, *_: np.zeros(len(rows)))
    with pytest.raises(NoEffectError, match=r"no checkpoint was better than the start .* use criterion=nll"):
        bench.train(bench.safeguards("early_stop", criterion="outcome", answers=4), tmp_path)
