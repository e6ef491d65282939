"""One fine-tune: the trainer with our settings, a progress bar and a log on disk."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProgressCallback, TrainerCallback
from transformers.trainer_callback import TrainerControl, TrainerState
from transformers.training_args import TrainingArguments

from experiments.config.schema import TrainingConfig
from experiments.records.training_file import ADAPTER
from experiments.training.anchor import Anchor
from experiments.training.trained import ACCEPT
from safeguards.config import SafeguardConfig
from safeguards.errors import NoEffectError
from safeguards.files import writing
from safeguards.rows import Row
from safeguards.safeguard import Safeguard
from safeguards.trainer import SafeguardTrainer


class Watch(TrainerCallback):
    """Shows progress, keeps the training log and times the steps."""

    def __init__(self, label: str, log: Path | None) -> None:
        self.label, self.log = label, log
        self.step_seconds: list[float] = []

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.bar = tqdm(total=state.max_steps, desc=self.label, leave=False)
        if self.log:
            with writing(self.log):
                self.log.parent.mkdir(parents=True, exist_ok=True)
                self.log.write_text("", "utf-8")

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.started = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.step_seconds.append(time.perf_counter() - self.started)
        self.bar.update()

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, Any], **_: Any
    ) -> None:
        if "loss" in logs:
            self.bar.set_postfix(loss=f"{float(logs['loss']):.3f}")
        if self.log:
            with writing(self.log), self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": state.global_step, **logs}) + "\n")

    def close(self) -> None:
        """End the bar, also after an error."""
        if hasattr(self, "bar"):
            self.bar.close()

    @property
    def median_step(self) -> float:
        """Seconds of a typical step."""
        return statistics.median(self.step_seconds)


class ArmTrainer(SafeguardTrainer):
    """Saves the adapter alone: an arm needs neither the tokenizer again nor pickled arguments."""

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the adapter under `output_dir`, by default that of the arguments."""
        with self.finished():
            assert self.model is not None
            self.model.save_pretrained(Path(output_dir or self.args.output_dir or ".") / ADAPTER)


def fine_tune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    config: TrainingConfig,
    *,
    seed: int,
    folder: Path,
    cache: Path,
    label: str,
    safeguards: Sequence[Safeguard] = (),
    pool: Sequence[Row] = (),
    callbacks: Sequence[TrainerCallback] = (),
    anchor: Anchor | None = None,
    report_to: Sequence[str] = (),
) -> tuple[SafeguardTrainer, Watch]:
    """Train LoRA weights on `model` and save them under `folder/adapter`.

    What is missing of the proof in the end is left in the trainer's `missing`, for the arm to judge.

    Raises:
        SafeguardError, FloatingPointError: as `SafeguardTrainer`.
        NoEffectError: early in training, if `config.proof` is "error" and a safeguard is dead.
    """
    on_cpu = model.device.type == "cpu"
    args = SafeguardConfig(
        output_dir=str(folder),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.accumulation,
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup_steps,
        lr_scheduler_type="linear",
        weight_decay=config.weight_decay,
        optim=config.optimizer,
        max_length=config.max_length,
        max_set_aside=config.max_set_aside,
        gradient_checkpointing=config.gradient_checkpointing,
        bf16=model.dtype == torch.bfloat16,
        use_cpu=on_cpu,
        dataloader_pin_memory=not on_cpu,
        seed=seed,
        data_seed=seed,
        save_strategy="no",
        logging_steps=10,
        logging_nan_inf_filter=False,
        report_to=list(report_to),
        proof="error" if config.proof == "error" else "off",  # the arm warns, in words of the sweep
        cache_dir=str(cache),
    )
    lora = LoraConfig(
        r=config.lora.r,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        use_rslora=True,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    watch = Watch(label, folder / "training.jsonl")
    trainer = ArmTrainer(
        model,
        args,
        rows,
        tokenizer,
        safeguards=safeguards,
        pool=pool,
        peft_config=lora,
        callbacks=[watch, *callbacks],
    )
    if anchor:
        anchor.attach(trainer)
    trainer.remove_callback(ProgressCallback)  # Watch shows progress without a line per log
    try:
        trainer.train()
    except NoEffectError:
        if not trainer.evidence.over:
            raise NoEffectError(f"{'; '.join(trainer.missing)} ({ACCEPT} accepts it)") from None
    finally:
        watch.close()
    trainer.save_model()
    return trainer, watch
