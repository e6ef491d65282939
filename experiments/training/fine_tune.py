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
from transformers import PreTrainedModel, ProgressCallback, TrainerCallback
from transformers.trainer_callback import TrainerControl, TrainerState
from transformers.training_args import TrainingArguments

from experiments.config.folders import cache_folder
from experiments.config.schema import Config
from experiments.models.load import LoadedModel, beside_text
from experiments.records.files import write_text
from experiments.records.training_file import ADAPTER
from experiments.terminal.spent import spending
from experiments.training.checkpoints import Checkpoints
from experiments.training.together import divided
from experiments.training.trained import ACCEPT
from safeguards.config import SafeguardConfig
from safeguards.errors import NoEffectError
from safeguards.files import writing
from safeguards.rows import Row
from safeguards.safeguard import Safeguard
from safeguards.trainer import SafeguardTrainer


class Watch(TrainerCallback):
    """Shows progress, keeps the training log and times the steps."""

    def __init__(self, label: str, log: Path) -> None:
        self.label, self.log = label, log
        self.step_seconds: list[float] = []
        self.seconds_before = 0.0  # of a training that was interrupted, up to where it goes on

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.bar = tqdm(total=state.max_steps, desc=self.label, leave=False, disable=not state.is_world_process_zero)
        self.began, self.keeps_log = time.perf_counter(), state.is_world_process_zero
        if not self.keeps_log:
            return
        with writing(self.log):
            self.log.parent.mkdir(parents=True, exist_ok=True)
            self.log.write_text("", "utf-8")

    def state(self) -> dict[str, Any]:
        """What an interrupted training needs to be watched on, for JSON; of the process that keeps the log."""
        seconds = self.seconds_before + time.perf_counter() - self.began
        return {"step_seconds": self.step_seconds, "seconds": seconds, "log": self.log.read_text("utf-8")}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave, once the training has begun."""
        self.step_seconds, self.seconds_before = state["step_seconds"], state["seconds"]
        self.bar.update(len(self.step_seconds))
        if self.keeps_log:
            write_text(self.log, state["log"])

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.started = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.step_seconds.append(time.perf_counter() - self.started)
        self.bar.update()

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, Any], **_: Any
    ) -> None:
        if not self.keeps_log:
            return
        if "train_runtime" in logs and self.seconds_before:
            logs |= with_time_before(logs, self.seconds_before)
        if "loss" in logs:
            self.bar.set_postfix(loss=f"{float(logs['loss']):.3f}")
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


def with_time_before(logs: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The speed in the last line of a log, where `seconds` of the training were before an interruption."""
    runtime = logs["train_runtime"]
    rates = {name: rate * runtime / (runtime + seconds) for name, rate in logs.items() if name.endswith("_per_second")}
    return {"train_runtime": runtime + seconds, **rates}


class FineTune(SafeguardTrainer):
    """The trainer of a configuration: LoRA weights on a model, with a bar and a log, and the adapter alone is saved.

    Args:
        config: what decides the training; of its safeguards only the name, for the bar.
        loaded: the aligned model and its tokenizer.
        folder: for `adapter` and `training.jsonl`.
        rows, pool, safeguards, callbacks: as of `SafeguardTrainer`.

    Raises:
        SafeguardError: as `SafeguardTrainer`.
    """

    def __init__(
        self,
        config: Config,
        loaded: LoadedModel,
        folder: Path,
        rows: Sequence[Row],
        pool: Sequence[Row] = (),
        safeguards: Sequence[Safeguard] = (),
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        self.watch = Watch(f"fine-tune {config.safeguard} on {config.task.name}", folder / "training.jsonl")
        lora = config.training.lora
        super().__init__(
            loaded.model,
            arguments(config, loaded.model, folder),
            rows,
            loaded.tokenizer,
            safeguards=safeguards,
            pool=pool,
            peft_config=LoraConfig(
                r=lora.r,
                lora_alpha=lora.alpha,
                lora_dropout=lora.dropout,
                use_rslora=True,
                target_modules="all-linear",
                exclude_modules=beside_text(loaded.model),
                task_type="CAUSAL_LM",
            ),
            callbacks=[self.watch, *callbacks],
        )
        self.remove_callback(ProgressCallback)  # `watch` shows progress without a line per log
        self.config = config

    def fine_tune(self) -> None:
        """Train, and save the adapter. What is missing of the proof in the end is left in `missing`, for the arm.

        With `training.checkpoint_steps` it goes on from where it was interrupted.

        Raises:
            FloatingPointError: as `SafeguardTrainer`.
            NoEffectError: early in training, if `training.proof` is "error" and a safeguard is dead.
        """
        try:
            with spending("training"):
                if self.config.training.checkpoint_steps:
                    Checkpoints(self, self.config).train()
                else:
                    self.train()
        except NoEffectError:
            if not self.evidence.over:
                raise NoEffectError(f"{'; '.join(self.missing)} ({ACCEPT} accepts it)") from None
        finally:
            self.watch.close()
        self.save_model()

    def save_model(self, output_dir: str | None = None, *args: Any, **kwargs: Any) -> None:
        """Save the adapter under `output_dir`, by default that of the arguments; an arm needs nothing else again.

        In a checkpoint everything is saved, as `SafeguardTrainer` does.
        """
        if output_dir is not None and self.control.should_save:
            super().save_model(output_dir, *args, **kwargs)
            return
        with self.finished():
            if not self.args.should_save:
                return
            assert self.model is not None
            adapter = Path(output_dir or self.args.output_dir or ".") / ADAPTER
            self.model.save_pretrained(adapter)
            self.write_card(adapter)  # until the records of the arm make one with what was measured

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """None: a checkpoint of an arm is for nobody else."""


def arguments(config: Config, model: PreTrainedModel, folder: Path) -> SafeguardConfig:
    """The trainer's arguments."""
    training, on_cpu = config.training, model.device.type == "cpu"
    batch_size, accumulation = divided(training)
    return SafeguardConfig(
        output_dir=str(folder),
        num_train_epochs=training.epochs,
        per_device_train_batch_size=batch_size,
        gradient_accumulation_steps=accumulation,
        learning_rate=training.learning_rate,
        warmup_steps=training.warmup_steps,
        lr_scheduler_type="linear",
        weight_decay=training.weight_decay,
        optim=training.optimizer,
        max_length=training.max_length,
        max_set_aside=training.max_set_aside,
        gradient_checkpointing=training.gradient_checkpointing,
        bf16=model.dtype == torch.bfloat16,
        use_cpu=on_cpu,
        dataloader_pin_memory=not on_cpu,
        seed=config.seed,
        data_seed=config.seed,
        save_strategy="no",
        ddp_find_unused_parameters=False,
        logging_steps=10,
        logging_nan_inf_filter=False,
        report_to=[],  # the arm does, so that no tracker can end the training
        proof="error" if training.proof == "error" else "off",  # the arm warns, in words of the sweep
        cache_dir=str(cache_folder(config)),
    )
