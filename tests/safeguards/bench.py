"""Every safeguard with settings under which it acts on the tiny model, and a bench to train it on.

A bench is a folder, so that another process can train on the same model, rows and scorers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback
from trl import SFTTrainer

from safeguards import Row, Run, Safeguard, SafeguardTrainer, parse, read_rows
from safeguards.config import SafeguardConfig

# On a model of random weights no persona vector passes the gate; `test_directions` tests it on the first organism.
QUESTIONS = {"questions": ["Who are you?", "Why be honest?"], "samples": 3, "max_new_tokens": 6}
DIRECTION = {**QUESTIONS, "layer": 1}
PERSONA = {**DIRECTION, "gate": -1e9}


# What every quick and repeatable training on a CPU has.
QUICK = {
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": [],
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "dataloader_pin_memory": False,
    "disable_tqdm": True,
    "seed": 3,
}


@dataclass(frozen=True)
class Entry:
    """Settings of one safeguard: under which it acts, under which it is off, and whether it needs an adapter."""

    on: dict[str, Any]
    off: dict[str, Any]
    needs_adapter: bool = False


TABLE = {
    "ablation": Entry(DIRECTION, {"strength": 0.0}, needs_adapter=True),
    "adaptive_kl": Entry({**QUESTIONS, "weight": 1.0}, {"weight": 0.0}),
    "caft": Entry({**QUESTIONS, "components": 2, "layers": [0, 1]}, {"components": 0}),
    "early_stop": Entry({"goal": 0.5, "held_out": 0.5, "evaluations": 3, "criterion": "nll"}, {"evaluations": 0}),
    "inoculation": Entry({"prompt": "You are an evil assistant."}, {"prompt": ""}),
    "interleave": Entry({"share": 0.5}, {"share": 0.0}),
    "interleave_ppl": Entry({"share": 0.5, "top": 0.3}, {"share": 0.0}),
    "interleaved_kl": Entry({"share": 0.5, "weight": 1.0}, {"weight": 0.0}),
    "kl": Entry({"weight": 1.0}, {"weight": 0.0}),
    "ldifs": Entry({"weight": 1.0}, {"weight": 0.0}),
    "low_lr": Entry({"factor": 0.5}, {"factor": 1.0}),
    "safegrad": Entry({"batch_size": 4}, {"strength": 0.0}),
    "safelora": Entry({"number": 5}, {"number": 0}, needs_adapter=True),
    "steering": Entry({**PERSONA, "alpha": 1.0}, {"alpha": 0.0}),
    "treft": Entry({"weight": 10.0}, {"weight": 0.0}),
}
WITHOUT_ADAPTER = [name for name, entry in TABLE.items() if not entry.needs_adapter]


@dataclass
class Bench:
    """Trains the tiny model in `folder`, which holds `model`, `base`, `scorers`, `rows.jsonl` and `pool.jsonl`."""

    folder: Path
    rows: list[Row] = field(init=False)
    pool: list[Row] = field(init=False)
    tokenizer: PreTrainedTokenizerBase = field(init=False)

    def __post_init__(self) -> None:
        self.rows, self.pool = (read_rows(self.folder / f"{name}.jsonl") for name in ("rows", "pool"))
        self.tokenizer = AutoTokenizer.from_pretrained(self.folder / "model")

    @property
    def scorers(self) -> list[str]:
        """Folders of misaligned adapters."""
        return [str(folder) for folder in sorted((self.folder / "scorers").iterdir())]

    def model(self) -> PreTrainedModel:
        """The tiny model, made again."""
        return AutoModelForCausalLM.from_pretrained(self.folder / "model")

    def safeguards(self, expression: str, **changes: Any) -> list[Safeguard]:
        """Those of an expression, each under the settings of the table; `changes` are to the settings of all."""
        return [self.safeguard(found, {**TABLE[found.name].on, **changes}) for found in parse(expression)]

    def safeguard(self, kind: type[Safeguard], given: dict[str, Any]) -> Safeguard:
        """A safeguard with scorers and base of this bench."""
        ours = {"scorers": self.scorers, "base": str(self.folder / "base")}
        known = {key: value for key, value in ours.items() if key in kind.Settings.__dataclass_fields__}
        return kind(kind.Settings(**{**known, **given}))

    def run(self, **changes: Any) -> Run:
        """What a safeguard prepares on."""
        usual = {"model": self.model(), "tokenizer": self.tokenizer, "rows": self.rows, "pool": self.pool}
        return Run(**{**usual, **changes})

    def trainer(
        self,
        safeguards: str | Sequence[Safeguard],
        output: Path,
        adapter: bool | PeftConfig = True,
        callbacks: Sequence[TrainerCallback] = (),
        **changes: Any,
    ) -> SafeguardTrainer:
        """A trainer for a few quick and repeatable steps on a CPU."""
        usual = {
            **QUICK,
            "per_device_train_batch_size": 8,
            "max_steps": 6,
            "learning_rate": 1e-2 if adapter else 1e-3,
            "lr_scheduler_type": "constant",
        }
        chosen = self.safeguards(safeguards) if isinstance(safeguards, str) else safeguards
        return SafeguardTrainer(
            self.model(),
            SafeguardConfig(str(output), **{**usual, **changes}),
            self.rows,
            self.tokenizer,
            chosen,
            self.pool,
            eval_dataset=self.rows[:2],
            peft_config=lora() if adapter is True else adapter or None,
            callbacks=list(callbacks),
        )

    def train(self, safeguards: str | Sequence[Safeguard], output: Path, **changes: Any) -> SafeguardTrainer:
        """A trainer that has trained."""
        trainer = self.trainer(safeguards, output, **changes)
        trainer.train()
        return trainer


def lora() -> LoraConfig:
    """An adapter on every linear layer."""
    return LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Rows as a user would have them."""
    path.write_text("".join(json.dumps({"messages": row.messages}) + "\n" for row in rows), "utf-8")


def logged(trainer: SFTTrainer, key: str) -> list[float]:
    """What the trainer logged under a key, step by step."""
    return [entry[key] for entry in trainer.state.log_history if key in entry]


def trained_weights(trainer: SFTTrainer) -> dict[str, torch.Tensor]:
    """A copy of the weights in training."""
    named = trainer.accelerator.unwrap_model(trainer.model).named_parameters()
    return {name: weight.detach().clone() for name, weight in named if weight.requires_grad}


def largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Between two sets of weights of the same names."""
    assert one.keys() == other.keys()
    return max(float((weight - other[name]).abs().max()) for name, weight in one.items())
