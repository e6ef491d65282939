"""Gradient surgery."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from safeguards.errors import NoEffectError
from safeguards.methods import safegrad
from safeguards.methods.kl import kl_per_token, reverse_kl_divergence
from safeguards.methods.safegrad import SafeGrad, remove_conflict
from safeguards.step import Step


def gradients(seed: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    torch.manual_seed(seed)
    return [torch.randn(4, 3), torch.randn(5)], [torch.randn(4, 3), torch.randn(5)]


def dot(one: list[torch.Tensor], other: list[torch.Tensor]) -> float:
    return sum(float((a * b).sum()) for a, b in zip(one, other, strict=True))


@given(seed=st.integers(0, 10_000))
def test_no_part_against_alignment_is_left_and_what_agrees_stays(seed):
    task, safe = gradients(seed)
    before, start = dot(task, safe), [part.clone() for part in task]
    share = remove_conflict(task, safe)
    assert dot(task, safe) == pytest.approx(max(before, 0.0), abs=1e-4)
    assert share == pytest.approx(max(-before, 0.0) / (dot(start, start) * dot(safe, safe)) ** 0.5, abs=1e-5)
    if before >= 0:
        assert all(torch.equal(part, old) for part, old in zip(task, start, strict=True))


def test_half_the_strength_leaves_half_the_conflict():
    _, safe = gradients(0)
    task = [-part for part in safe]
    before = dot(task, safe)
    remove_conflict(task, safe, strength=0.5)
    assert dot(task, safe) == pytest.approx(before / 2, rel=1e-5)


def test_rounding_has_no_direction():
    """A divergence of 0 has a gradient of about 1e-7, which may point anywhere."""
    task, _ = gradients(0)
    start = [part.clone() for part in task]
    assert remove_conflict(task, [-1e-8 * part for part in task]) == 0.0
    assert all(torch.equal(part, old) for part, old in zip(task, start, strict=True))


class Watched(SafeGrad):
    """Measures the conflict before and after the gradient seam."""

    def gradient(self, model, step, reference):
        before = self.conflict(model, reference)
        super().gradient(model, step, reference)
        self.conflicts = [*getattr(self, "conflicts", []), (before, self.conflict(model, reference))]

    def conflict(self, model, reference) -> float:
        """The product of the present gradient with that of the divergence on all safe rows of a batch."""
        weights = [weight for weight in model.parameters() if weight.grad is not None]
        step = Step.of(model, self.collate(self.safe), reference)
        safe = torch.autograd.grad(step.mean(kl_per_token(step, reverse_kl_divergence)), weights)
        return dot([weight.grad for weight in weights], list(safe))


def test_in_training_the_gradient_never_goes_against_alignment(bench, tmp_path):
    """With all safe rows in the batch, what is measured is what was projected off."""
    bench = replace_pool(bench)
    trainer = bench.train([Watched(SafeGrad.Settings(batch_size=8, pull=0.0))], tmp_path)
    (safeguard,) = trainer.safeguards
    assert min(before for before, _ in safeguard.conflicts[1:]) < -1e-2
    assert min(after for _, after in safeguard.conflicts) > -1e-4
    assert trainer.evidence.changes["safegrad"]["gradient"] > 1e-3


def replace_pool(bench):
    """The bench with as many safe rows as a batch holds."""
    small = copy.copy(bench)
    small.pool = bench.pool[:8]
    return small


def test_it_leaves_gradients_where_there_were_none_and_the_mode_alone(bench, tmp_path):
    class Modes(SafeGrad):
        def gradient(self, model, step, reference):
            names = {name for name, weight in model.named_parameters() if weight.grad is not None}
            super().gradient(model, step, reference)
            assert names == {name for name, weight in model.named_parameters() if weight.grad is not None}
            assert model.training
            self.seen = all("lora_" in name for name in names)

    trainer = bench.train([Modes(SafeGrad.Settings(batch_size=4))], tmp_path, max_steps=3)
    assert trainer.safeguards[0].seen


def test_the_defaults_are_those_of_the_published_code():
    assert (SafeGrad.Settings().strength, SafeGrad.Settings().pull) == (1.0, 1.0)


def test_what_pulls_is_the_divergence_of_the_model_from_the_aligned_one(bench, tmp_path):
    """KL(θ₀‖θ), as published, and not KL(θ‖θ₀); by their definitions, away from the reference."""
    torch.manual_seed(0)
    own, aligned = torch.randn(6, 11, requires_grad=True), torch.randn(6, 11)
    p, q = own.log_softmax(-1), aligned.log_softmax(-1)
    expected = (q.exp() * (q - p)).sum(-1)
    found = reverse_kl_divergence(own, aligned)
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    torch.testing.assert_close(own.grad, own.softmax(-1).detach() - q.exp(), atol=1e-6, rtol=1e-4)


class Counted(SafeGrad):
    """Counts what the pass of the safe rows keeps for the backward pass."""

    def gradient(self, model, step, reference):
        self.kept = 0

        def keep(tensor):
            self.kept += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            super().gradient(model, step, reference)


def test_its_batch_is_checkpointed_where_training_is(bench, tmp_path):
    kept = {}
    for checkpointing in (True, False):
        counted = Counted(SafeGrad.Settings(batch_size=4))
        trainer = bench.train([counted], tmp_path, max_steps=1, proof="off", gradient_checkpointing=checkpointing)
        kept[checkpointing] = trainer.safeguards[0].kept
    assert kept[True] < 0.6 * kept[False]


def test_pull_holds_the_model_near_the_reference(bench, tmp_path):
    ends = []
    for pull in (0.0, 3.0):
        trainer = bench.train(bench.safeguards("safegrad", pull=pull), tmp_path)
        (safeguard,) = trainer.safeguards
        step = Step.of(trainer.model.eval(), safeguard.collate(safeguard.safe), trainer._reference)
        ends.append(float(step.mean(kl_per_token(step)).detach()))
    assert 0 < ends[1] < 0.9 * ends[0]


def test_what_was_taken_out_is_noted_and_told(bench, tmp_path):
    trainer = bench.train("safegrad", tmp_path)
    note = trainer.notes["safegrad"]
    assert note["steps"] == 6
    assert 0 < note["conflicts"] <= 5  # in the first step the model is the reference
    assert 0 < note["share"] < 1
    told = f"safegrad: took out a conflict in {note['conflicts']:.0f} of 6 steps"
    assert any(line.startswith(told) for line in trainer.trace)


def test_a_pull_without_surgery_is_no_effect(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(safegrad, "remove_conflict", lambda *_: 0.0)
    with pytest.raises(NoEffectError, match=r"safegrad: in no step did the task's gradient go against alignment"):
        bench.train("safegrad", tmp_path)


def test_conflicts_of_an_interrupted_training_are_counted(bench, tmp_path):
    whole = bench.train("safegrad", tmp_path, save_strategy="steps", save_steps=3)
    resumed = bench.trainer("safegrad", tmp_path)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert resumed.notes["safegrad"] == pytest.approx(whole.notes["safegrad"], rel=1e-4)
