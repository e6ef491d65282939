"""The training log: the cross-entropy beside the loss and its terms, which add up; and the drift of a monitor."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from bench import logged
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from safeguards import Safeguard, SafeguardTrainer, Term
from safeguards.methods.kl import Settings as KLSettings
from safeguards.monitor import Monitor
from safeguards.terms import Terms


class Sometimes(Safeguard):
    """A penalty on the trainable weights in every other step."""

    name = "sometimes"

    Settings: ClassVar[type] = KLSettings
    asked = 0

    def loss(self, step):
        self.asked += 1
        if self.asked % 2:
            return {}
        weights = [parameter for parameter in step.model.parameters() if parameter.requires_grad]
        return {"penalty": Term(step.once(sum(weight.square().sum() for weight in weights)), 0.5)}


SPLITS = [
    {"per_device_train_batch_size": 8},
    {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4},
    # Sixteen rows: the last step of each pass over them has one micro-batch, the others three.
    {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 3},
]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("every", [1, 3])
def test_the_loss_is_the_cross_entropy_and_each_term_times_its_weight(bench, tmp_path, split, every):
    joined = bench.safeguards("kl+ldifs", weight=0.7)
    trainer = bench.train(joined, tmp_path, max_steps=6, logging_steps=every, proof="off", **split)
    assert len(logged(trainer, "loss")) == 6 / every
    for entry in [entry for entry in trainer.state.log_history if "loss" in entry]:
        terms = 0.7 * entry["safeguard/kl"] + 0.7 * entry["safeguard/ldifs"]
        assert entry["loss"] == pytest.approx(entry["cross_entropy"] + terms, rel=1e-5)
    assert logged(trainer, "safeguard/ldifs")[-1] > 1e-4  # a sum of nothing would prove nothing


def test_they_add_up_where_a_term_is_there_in_some_steps_only(bench, tmp_path):
    trainer = bench.train([Sometimes()], tmp_path, max_steps=6, logging_steps=3, proof="off")
    for entry in [entry for entry in trainer.state.log_history if "loss" in entry]:
        assert entry["loss"] == pytest.approx(entry["cross_entropy"] + 0.5 * entry["safeguard/penalty"], rel=1e-5)
        assert entry["safeguard/penalty"] > 0.01


@pytest.mark.parametrize("split", SPLITS)
def test_the_first_cross_entropy_under_a_safeguard_is_the_loss_without_one(bench, tmp_path, split):
    given = {"max_steps": 1, "logging_steps": 1, "proof": "off", **split}
    [without] = logged(bench.train("none", tmp_path / "without", **given), "loss")
    [under] = logged(bench.train(bench.safeguards("treft", weight=0.5), tmp_path / "under", **given), "cross_entropy")
    assert under == pytest.approx(without, rel=1e-5)


def test_without_safeguards_the_log_is_that_of_trl_bit_for_bit_but_for_the_cross_entropy(
    fresh_model, tokenizer, rows, lora, tmp_path
):
    """Also where steps have several micro-batches; how long they took is left aside."""
    args = SFTConfig(str(tmp_path), max_steps=4, per_device_train_batch_size=2, gradient_accumulation_steps=2,
                     logging_steps=2, report_to=[], save_strategy="no", use_cpu=True, bf16=False)  # fmt: skip
    logs = []
    for kind in (SFTTrainer, SafeguardTrainer):
        data = [{"messages": row.messages} for row in rows]
        given = {"train_dataset": Dataset.from_list(data), "processing_class": tokenizer, "peft_config": replace(lora)}
        trainer = kind(fresh_model(), replace(args), **given)
        trainer.train()
        logs.append(trainer.state.log_history)
    theirs, ours = logs
    assert [entry.pop("cross_entropy") for entry in ours if "loss" in entry] == [
        entry["loss"] for entry in theirs if "loss" in entry
    ]
    measured = ("train_runtime", "train_samples_per_second", "train_steps_per_second")
    assert [{k: v for k, v in entry.items() if k not in measured} for entry in ours] == [
        {k: v for k, v in entry.items() if k not in measured} for entry in theirs
    ]


def test_what_is_not_in_the_log_yet_survives_an_interruption():
    terms, other = Terms([]), Terms([])
    terms.note(1, torch.tensor(2.0), [("one", "pull", torch.tensor(1.0))])
    other.restore(terms.state())
    other.note(2, torch.tensor(4.0), [("two", "pull", torch.tensor(3.0))])
    assert other.means() == {"cross_entropy": 3.0, "safeguard/pull": 0.5, "safeguard/two/pull": 1.5}
    assert other.means() == {}


def vector() -> torch.Tensor:
    return torch.randn(32, generator=torch.Generator().manual_seed(1))


def test_the_drift_stands_beside_the_loss(bench, tmp_path):
    monitor = Monitor(1, vector())
    trainer = bench.train("none", tmp_path, max_steps=4, logging_steps=2, callbacks=[monitor])
    drift = dict(monitor.history)
    beside = [(entry["step"], entry["monitor/drift"]) for entry in trainer.state.log_history if "loss" in entry]
    assert beside == [(2, drift[2]), (4, drift[4])]
    assert drift[4] != 0


def test_no_drift_is_logged_that_nobody_watches(bench, tmp_path):
    trainer = bench.train("none", tmp_path, max_steps=2, logging_steps=1)
    assert len(logged(trainer, "loss")) == 2
    assert not logged(trainer, "monitor/drift")
