"""What it takes to be believed, and every way not to be."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from bench import TABLE

from safeguards import NoEffectError, Safeguard, Term
from safeguards.activations import Edit, adding
from safeguards.evidence import EVALUATION, REFERENCE, TRAINING, Evidence
from safeguards.looks import Look, gradient_norm
from safeguards.methods.early_stop import EarlyStop
from safeguards.methods.ldifs import LDIFS, feature_distance
from safeguards.methods.low_lr import LowLR
from safeguards.methods.low_lr import Settings as LowLRSettings


@dataclass
class Nothing:
    """No settings."""


class Plain(Safeguard):
    """Does nothing yet; tests override one seam each."""

    name = "plain"
    Settings: ClassVar[type] = Nothing


@pytest.fixture
def train(bench, tmp_path):
    return lambda safeguards, **changes: bench.train(safeguards, tmp_path, **changes)


class Steering(Plain):
    """Adds a constant vector in layer 1."""

    def __init__(self, dose: float = 1.0) -> None:
        super().__init__()
        self.edits = [adding(1, torch.ones(32), dose)]


def test_a_hook_that_fires_in_every_training_pass_is_believed(train):
    assert train([Steering()]).evidence.firings["plain"][TRAINING] == 6


def test_a_hook_that_never_fires_is_an_error(train):
    class Absent(Steering):
        def active(self, model):
            return Edit(0, lambda hidden: hidden).applied(model)

    with pytest.raises(NoEffectError, match="its hooks fired 0 times in 6 training forwards and should have 6"):
        train([Absent()])


def test_a_hook_that_fires_twice_in_a_pass_is_an_error(train):
    class Doubled(Steering):
        def active(self, model):
            stack = super().active(model)
            stack.enter_context(self.edits[0].applied(model))
            return stack

    with pytest.raises(NoEffectError, match="fired 12 times in 6 training forwards"):
        train([Doubled()])


class Leaking(Steering):
    """Its hook stays on the model for good, and so fires in passes that are not training."""

    needs_reference = True

    def __init__(self) -> None:
        super().__init__()
        self.stays = ExitStack()

    def active(self, model):
        if not self.edits[0].firings:
            self.stays.enter_context(self.edits[0].applied(model))
        return nullcontext()

    def loss(self, step):
        return {"pull": Term(step.mean((step.trained.hidden - step.reference.hidden).pow(2).sum(-1)), 1e-2)}


@pytest.mark.parametrize("kind", [REFERENCE, EVALUATION])
def test_a_hook_that_fires_outside_training_passes_is_an_error(train, kind):
    with pytest.raises(NoEffectError, match=f"plain: its hooks fired . times in {kind} passes and must not"):
        train([Leaking()], eval_strategy="steps", eval_steps=2)


def test_a_hook_that_changes_nothing_is_an_error(train):
    with pytest.raises(NoEffectError, match="did not change the activations noticeably"):
        train([Steering(dose=1e-6)])


def test_an_activation_seam_without_counted_edits_is_an_error(train):
    class Uncounted(Plain):
        def active(self, model):
            return adding(1, torch.ones(32), 1.0).applied(model)

    with pytest.raises(NoEffectError, match="its activation seam makes no counted edit"):
        train([Uncounted()])


@pytest.mark.parametrize(
    ("seam", "body", "what"),
    [
        ("arguments", lambda self, args: None, "training argument"),
        ("rows", lambda self, rows: list(rows), "row"),
        ("prompt", lambda self, messages: [dict(message) for message in messages], "prompt"),
        ("gradient", lambda self, model, step, reference: None, "gradient"),
        ("weights", lambda self, model: None, "weight"),
    ],
)
def test_a_seam_at_which_nothing_changes_is_an_error(train, seam, body, what):
    idler = type("Idler", (Plain,), {seam: body})()
    with pytest.raises(NoEffectError, match=f"plain: it changed no {what} noticeably"):
        train([idler])


@pytest.mark.parametrize("seam", ["gradient", "weights"])
def test_a_change_of_the_size_of_rounding_is_no_proof(train, seam):
    def nudge(self, model, *_):
        for weight in model.parameters():
            if weight.requires_grad:
                (weight.data if seam == "weights" else weight.grad).mul_(1 + 1e-6)

    with pytest.raises(NoEffectError, match="noticeably"):
        train([type("Nudge", (Plain,), {seam: nudge})()])


def test_a_reversed_list_of_rows_counts_as_a_change(train):
    train([type("Reverse", (Plain,), {"rows": lambda self, rows: rows[::-1]})()])


# Safeguards of ours that were broken as published code was -----------------------------------------------------------


class Detached(LDIFS):
    """LDIFS as in code derived from arXiv 2508.06249: the features of the model in training carry no gradient."""

    def loss(self, step):
        own = [step.trained.features(layer).detach() for layer in self.layers]
        aligned = [step.reference.features(layer) for layer in self.layers]
        return {"ldifs": Term(step.mean(feature_distance(own, aligned)), self.settings.weight)}


def test_ldifs_without_gradient_is_an_error(train):
    with pytest.raises(NoEffectError, match="its loss term 'ldifs' never had a gradient"):
        train([Detached(LDIFS.Settings(weight=1000.0))])


@pytest.mark.parametrize("name", ["kl", "ldifs", "treft", "adaptive_kl", "interleaved_kl", "safegrad"])
def test_a_model_that_never_leaves_the_reference_proves_nothing(train, name):
    """The penalties on what it does have no gradient there but the rounding's."""
    with pytest.raises(NoEffectError, match=name):
        train(name, learning_rate=0.0)


def test_an_update_that_needs_no_projection_is_no_proof(bench, train):
    safeguard = bench.safeguards("safelora", select="threshold", threshold=1e-6)
    with pytest.raises(NoEffectError, match="safelora: it changed no weight noticeably"):
        train(safeguard)


def test_a_learning_rate_that_was_nought_is_not_lowered(train):
    with pytest.raises(NoEffectError, match="low_lr: it changed no training argument"):
        train([LowLR(LowLRSettings(factor=0.5))], learning_rate=0.0)


def test_early_stopping_without_an_improvement_is_an_error(bench, train):
    with pytest.raises(NoEffectError, match="early_stop: no checkpoint was better than the start"):
        train([EarlyStop(EarlyStop.Settings(**TABLE["early_stop"].on))], learning_rate=0.0)


def test_what_processes_saw_is_joined():
    one, other = Evidence(), Evidence()
    one.looks["kl"] = {"kl": [Look(2, 0.5, 1.0, 0.1, 1.0), Look(4, 0.8, 1.0, 0.1, 1.0)]}
    other.looks["kl"] = {"kl": [Look(2, 0.1, 1.0, 0.1, 1.0)], "more": [Look(8, 0.1, 1.0, 0.1, 1.0)]}
    one.saw("safegrad", "gradient", 0.2)
    for part in (one, other):
        part.rows_by_source[1] += 2
        part.passes[TRAINING] += 3
        part.firings["steering"][TRAINING] += 3
    joined = Evidence.joined([one, other])
    assert joined.gradient_shares["kl"]["kl"]["steps"] == pytest.approx({2: 0.3, 4: 0.8})
    assert joined.gradient_shares["kl"]["kl"]["last"] == 0.8
    assert joined.gradient_shares["kl"]["more"]["median"] == 0.1
    assert joined.changes == {"safegrad": {"gradient": 0.2}}
    assert (joined.rows_by_source[1], joined.passes[TRAINING], joined.firings["steering"][TRAINING]) == (4, 6, 6)


# When it is judged ----------------------------------------------------------------------------------------------------


class Absent(Steering):
    """Its hook is on none of the training passes."""

    def active(self, model):
        return Edit(0, lambda hidden: hidden).applied(model)


class Doomed(Plain):
    """Its gradient seam changes nothing."""

    def gradient(self, model, step, reference):
        pass


@pytest.mark.parametrize("kind", [lambda: Detached(LDIFS.Settings(weight=1.0)), Absent, Doomed])
def test_a_dead_safeguard_costs_eight_steps_and_not_the_run(bench, tmp_path, kind):
    trainer = bench.trainer([kind()], tmp_path, max_steps=40)
    with pytest.raises(NoEffectError, match='proof="warn" accepts it'):
        trainer.train()
    assert trainer.state.global_step == 8
    assert not trainer.evidence.over


def test_a_selection_no_better_than_chance_is_found_early(bench, tmp_path):
    (safeguard,) = bench.safeguards("interleave_ppl", top=1.0)
    trainer = bench.trainer([safeguard], tmp_path, max_steps=40)
    with pytest.raises(NoEffectError, match="no larger gap than the pool"):
        trainer.train()
    assert trainer.state.global_step == 8


class Late(Plain):
    """Acts on the loss from step 11 on, as a term on rare rows does, and on gradients when there is a conflict."""

    acts_late = True

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def loss(self, step):
        return {"late": Term(step.mean(step.trained.hidden.sum(-1)) * float(self.steps > 10), 0.1)}

    def gradient(self, model, step, reference):
        self.steps += 1
        if step == 12:
            for weight in model.parameters():
                if weight.grad is not None:
                    weight.grad.mul_(0.5)


def test_what_acts_late_is_waited_for(bench, tmp_path):
    trainer = bench.train([Late()], tmp_path, max_steps=15)
    assert min(trainer.evidence.gradient_shares["plain"]["late"]["steps"]) == 12


def test_a_penalty_that_is_still_small_is_waited_for(bench, tmp_path):
    """As under a long warm-up: the model has hardly left the reference when the proof is first judged."""
    trainer = bench.train("kl", tmp_path, max_steps=30, lr_scheduler_type="constant_with_warmup", warmup_steps=10**5)
    looks = {look.step: look.share for look in trainer.evidence.looks["kl"]["kl"]}
    assert looks[8] < 1e-4 < looks[30]


def test_a_small_one_is_judged_in_the_end(bench, tmp_path):
    trainer = bench.trainer("kl", tmp_path, max_steps=20, learning_rate=0.0)
    with pytest.raises(NoEffectError, match="never had a gradient worth"):
        trainer.train()
    assert trainer.state.global_step == 20


def test_the_pull_of_a_term_is_followed_over_training_and_grows_with_its_weight(bench, tmp_path):
    medians = []
    for weight in (0.02, 0.1, 1.0):
        trainer = bench.train(bench.safeguards("kl", weight=weight), tmp_path, max_steps=20)
        share = trainer.evidence.gradient_shares["kl"]["kl"]
        assert {2, 4, 8, 16, 20} <= set(share["steps"])
        assert share["last"] == share["steps"][20]
        medians.append(share["median"])
    assert medians[1] > 3 * medians[0]
    assert medians[2] > 3 * medians[1]
    assert f"pulls with {medians[2]:.2g} of the cross-entropy's gradient" in "\n".join(trainer.trace)


@pytest.mark.parametrize("name", ["kl", "ldifs", "treft"])
def test_reentrant_checkpointing_hides_no_gradient(bench, tmp_path, name):
    kwargs = {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": True}}
    hidden, plain = bench.train(name, tmp_path, **kwargs), bench.train(name, tmp_path)
    (term,) = plain.evidence.gradient_shares[name]
    found, expected = (trainer.evidence.gradient_shares[name][term]["steps"] for trainer in (hidden, plain))
    assert found == pytest.approx(expected, rel=1e-3)


def test_measuring_leaves_accumulated_gradients_alone():
    weight = torch.nn.Parameter(torch.ones(3))
    weight.grad = torch.full((3,), 5.0)
    value = (2 * weight).sum()
    assert gradient_norm(value, [weight], reentrant=True) == pytest.approx(12**0.5)
    assert gradient_norm(value, [weight]) == pytest.approx(12**0.5)
    assert torch.equal(weight.grad, torch.full((3,), 5.0))


def test_the_trace_says_what_the_proof_does_not_show(trained):
    assert any("drawn from the" in line and "in the pool" in line for line in trained("interleave_ppl").trace)
    for name in ("kl", "steering", "safegrad", "safelora", "low_lr", "interleave", "inoculation"):
        own = [line for line in trained(name).trace if line.startswith(f"{name}: ")]
        assert own
        assert all("not shown: " in line for line in own), own


def test_only_the_weights_that_are_handed_over_are_proof(bench, tmp_path):
    """A checkpoint that was changed does not make up for a model that is not."""

    class First(Plain):
        def weights(self, model):
            for weight in model.parameters():
                if weight.requires_grad and trainer.state.global_step < 6:
                    weight.data.mul_(0.5)

    trainer = bench.trainer([First()], tmp_path, save_strategy="steps", save_steps=2)
    with pytest.raises(NoEffectError, match="changed no weight noticeably"):
        trainer.train()
