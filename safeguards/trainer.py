"""The trainer: TRL's `SFTTrainer` with safeguards on the seams of its training step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, get_last_checkpoint
from trl import SFTConfig, SFTTrainer

from safeguards.case import Case
from safeguards.composition import as_safeguards
from safeguards.encoding import IGNORED, MARKS, Collator, padding_of
from safeguards.errors import NoEffectError
from safeguards.evidence import EVALUATION, REFERENCE, TRAINING, Evidence
from safeguards.handover import Handover
from safeguards.milestones import Milestones
from safeguards.model import Capture, check_layers, unwrap
from safeguards.model_card import write_section
from safeguards.monitor import DRIFT, Monitor
from safeguards.precision import unscaled
from safeguards.preparation import Preparation
from safeguards.processes import check_finite
from safeguards.reference import Reference
from safeguards.rows import Row
from safeguards.safeguard import Safeguard
from safeguards.sharding import Gathered
from safeguards.step import Step
from safeguards.support import check_reference, is_reentrant
from safeguards.terms import CROSS_ENTROPY, Terms


class SafeguardTrainer(SFTTrainer):
    """Fine-tunes a causal LM on chat messages under safeguards.

    Without safeguards it is `SFTTrainer`, loss by loss and weight by weight.

    Args:
        model: a causal LM, or its name, which is loaded in float32 or as `args.model_init_kwargs` say, without code of
            others. For LoRA give `peft_config`: what a model with an adapter started from is not known.
        args: `SafeguardConfig`, or TRL's `SFTConfig`, which learns all tokens of messages; by default a
            `SafeguardConfig` with a folder named after the model.
        train_dataset: rows: a list of `Row` or of dicts, or a `datasets.Dataset`, with `messages`, with `prompt` and
            `completion` (text or messages) or with `text`. Without a chat template the end-of-sequence token follows.
        processing_class: its tokenizer, with a chat template if rows are messages; by default the model's own.
        safeguards: names joined by "+" (default settings), a `Safeguard`, a list of both, which act in its order unless
            they declare another, or settings by name. Each object is copied; the copies are in `safeguards`.
        pool: safe rows, in the same forms as `train_dataset`; needed by interleaving.
        eval_dataset: rows to evaluate on, in the same forms; or several such by name.
        **kwargs: as for `SFTTrainer`, such as `peft_config`, `callbacks` and `formatting_func`. What cannot be honoured
            is refused; `dataset_num_proc` has no effect.

    Raises:
        SafeguardError: before training, if a row or a setting cannot be used.
        NoEffectError: in training, if a safeguard has no effect and `proof="error"`.
    """

    def __init__(
        self,
        model: PreTrainedModel | str,
        args: SFTConfig | TrainingArguments | None = None,
        train_dataset: Dataset | Sequence[Row | dict[str, Any]] | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        safeguards: str | Safeguard | Sequence[str | Safeguard] | Mapping[str, Mapping[str, Any]] = "none",
        pool: Dataset | Sequence[Row | dict[str, Any]] | None = None,
        eval_dataset: Dataset | Sequence[Row | dict[str, Any]] | dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.safeguards = as_safeguards(safeguards)
        self._acting = [safeguard for safeguard in self.safeguards if not safeguard.idle]
        self._case = Case(self._acting)
        self._active = ExitStack()
        ready = Preparation(self._case, model, args, processing_class, kwargs)
        ready.read(train_dataset, pool, eval_dataset)
        self._reader, self.rows, self.notes = ready.reader, ready.rows, ready.notes
        super().__init__(
            model=ready.model,
            args=ready.args,
            train_dataset=ready.train_dataset,
            eval_dataset=ready.eval_dataset,
            processing_class=ready.tokenizer,
            data_collator=Collator(padding_of(ready.tokenizer), ready.args.pad_to_multiple_of or 1),
            **kwargs,
        )
        asking = [safeguard.name for safeguard in self._acting if safeguard.needs_reference]
        self._reference = Reference(self.model) if asking else None
        if self._reference and ready.aligned is not None:
            check_reference(self._reference, ready.aligned, "+".join(asking))
        for safeguard in self._acting:
            safeguard.check_adapted(unwrap(self.model))
        self._taking = [safeguard for safeguard in self._acting if safeguard.acts_at("gradient")]
        self._terms = Terms(self._acting)
        check_layers(self.model, self._terms.layers)
        self._reentrant = bool(self._terms.adding) and is_reentrant(self.args, unwrap(self.model))
        self._handover = Handover(self._acting, lambda: self._inner, lambda: self.evidence)
        self._milestones = Milestones(self._case, self._handover, self.args.proof)
        self.callback_handler.callbacks.insert(0, self._milestones)
        self._case.ready()

    @property
    def evidence(self) -> Evidence:
        """What was seen of the safeguards."""
        return self._case.evidence

    @property
    def trace(self) -> list[str]:
        """What is reported of the safeguards, a line each."""
        return self._case.trace

    @property
    def missing(self) -> list[str]:
        """What is missing to believe that each safeguard acts."""
        return self._case.missing

    @cached_property
    def _inner(self) -> PreTrainedModel:
        """The model without any distributed wrapper; found once, since looking takes a walk over all modules."""
        inner: PreTrainedModel = self.accelerator.unwrap_model(self.model)
        return inner

    @cached_property
    def _gathered(self) -> Gathered | None:
        """The weights of a pass under FSDP, which takes those of the model apart."""
        return Gathered(self._inner) if self._terms.adding and self.accelerator.is_fsdp2 else None

    # Data ---------------------------------------------------------------------------------------------------------

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Any]:
        """As `Trainer`, for rows in any form that `eval_dataset` may have, or the name of one given before."""
        named = self.eval_dataset if isinstance(self.eval_dataset, dict) else {}
        if not (isinstance(eval_dataset, str) and eval_dataset in named):
            eval_dataset = self._reader.encoded(eval_dataset, "eval_dataset")
        loader: DataLoader[Any] = super().get_eval_dataloader(eval_dataset)
        return loader

    def get_test_dataloader(self, test_dataset: Any) -> DataLoader[Any]:
        """As `Trainer`, for rows in any form that `eval_dataset` may have."""
        loader: DataLoader[Any] = super().get_test_dataloader(self._reader.encoded(test_dataset, "test_dataset"))
        return loader

    # Activation seam ------------------------------------------------------------------------------------------------

    def training_step(self, model: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        """Forward and backward of one micro-batch inside every `active` context; after the last, the gradient seam.

        Raises:
            FloatingPointError: if the loss is not a finite number, in all processes if it is so in one.
        """
        self._enter_active()
        try:
            loss: Tensor = super().training_step(model, *args, **kwargs)
        finally:
            self._active.close()
        check_finite(loss, self.accelerator, self.state.global_step)
        if self._taking and self.accelerator.sync_gradients:
            inner = self._inner
            gradients = [p.grad for p in inner.parameters() if p.grad is not None]
            with unscaled(gradients, self.accelerator.scaler):
                for safeguard in self._taking:
                    with self.evidence.watching(safeguard, "gradient", gradients):
                        safeguard.gradient(inner, self.state.global_step, self._reference)
        return loss

    def _enter_active(self) -> None:
        inner = self._inner
        for safeguard in self._acting:
            self._active.enter_context(safeguard.active(inner))

    @contextmanager
    def _paused(self) -> Iterator[None]:
        """No safeguard acts on the activations; for the reference pass."""
        self._active.close()
        try:
            with self.evidence.counting(REFERENCE, self._acting):
                yield
        finally:
            self._enter_active()

    # Loss seam ------------------------------------------------------------------------------------------------------

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The cross-entropy of `SFTTrainer`, plus the safeguards' terms when in training."""
        marks = {mark: inputs.pop(mark) for mark in MARKS if mark in inputs}
        in_training = model.training and bool(marks)
        inner = self._inner
        capture = Capture(inner, self._terms.layers)
        recording = capture.recording() if self._terms.adding else nullcontext()
        gathering = self._gathered.recording() if self._gathered else nullcontext()
        with self.evidence.counting(TRAINING if in_training else EVALUATION, self._acting), recording, gathering:
            loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if not in_training:
            return loss
        self.evidence.rows_by_source.update(marks["row_source"].tolist())
        if not self._terms.adding:
            return loss
        own_tokens = (inputs["labels"][:, 1:] != IGNORED).sum().clamp(min=1)
        tokens = own_tokens if num_items_in_batch is None else num_items_in_batch
        step = Step(inner, {**inputs, **marks}, capture.states, tokens, self._reference, capture.layers, self._paused)
        # As for the cross-entropy: tokens are counted over all processes, and DDP averages the gradients.
        windowed = num_items_in_batch is not None
        spread = self.accelerator.num_processes if windowed and self.args.average_tokens_across_devices else 1
        # The reference pass runs inside, so it needs the precision that accelerate gives the model's own forward.
        with self.accelerator.autocast():
            terms = self._terms.of(step)
        step_number, steps = self.state.global_step + 1, self.state.max_steps
        whole = self._gathered.differentiable() if self._gathered else nullcontext(inner.parameters())
        agree = self._anywhere if self._gathered else bool  # a look gathers weights, which takes all processes
        with whole as weights:
            self.evidence.look_at(step_number, steps, terms, loss / spread, weights, self._reentrant, agree)
        named = [(owner, name, term) for owner, own in terms.items() for name, term in own.items()]
        # What is logged adds up as the loss does: `Trainer` divides by the micro-batches what is no share of a window.
        share = 1.0 if windowed else 1.0 / self.current_gradient_accumulation_steps

        def counted(value: Tensor) -> Tensor:
            mean: Tensor = self.accelerator.reduce(value.detach() * share, "mean")
            return mean

        values = [(owner, name, counted(spread * term.value)) for owner, name, term in named]
        self._terms.note(step_number, counted(loss), values)
        return sum((term.weight * spread * term.value for _, _, term in named), start=loss)

    def _anywhere(self, wanted: bool) -> bool:
        return bool(self.accelerator.reduce(torch.tensor(float(wanted), device=self.accelerator.device), "sum"))

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log; beside the loss also the cross-entropy and every term, as means since the last time, and any drift."""
        if self.model.training:
            logs.update(self._terms.means())
        if "loss" in logs:
            logs.setdefault(CROSS_ENTROPY, logs["loss"])  # without terms it is all there is
            for callback in self.callback_handler.callbacks:
                if isinstance(callback, Monitor) and callback.history:
                    logs[DRIFT] = callback.history[-1][1]
        super().log(logs, *args, **kwargs)

    # Seams after a step and after training, and what is saved ---------------------------------------------------------

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
        """Train, finish the weights, then demand proof of effect; a model that lacks it is saved all the same.

        Raises:
            NoEffectError: if a safeguard had no effect and `proof="error"`.
        """
        found = get_last_checkpoint(self.args.output_dir) if resume_from_checkpoint is True else resume_from_checkpoint
        self._milestones.checkpoint = Path(found) if found else None
        self._case.begin()
        output = super().train(resume_from_checkpoint, *args, **kwargs)
        missing = self._case.close()
        if missing and self.args.proof == "error":
            with self._nothing_pushed():
                self.save_model()  # never at the price of the run
            saved = f'the model is saved in {self.args.output_dir}; proof="warn" accepts it'
            raise NoEffectError(f"{'; '.join(missing)} ({saved})")
        for line in missing if self.args.proof == "warn" else ():
            self.accelerator.print(f'warning: {line} (accepted by proof="warn")')
        return output

    @contextmanager
    def _nothing_pushed(self) -> Iterator[None]:
        wanted, self.args.push_to_hub = self.args.push_to_hub, False
        try:
            yield
        finally:
            self.args.push_to_hub = wanted

    def finished(self) -> AbstractContextManager[PreTrainedModel]:
        """The model as it would be handed over now, with what safeguards do to finished weights; undone afterwards."""
        return self._handover.finished()

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Evaluate the model as it would be handed over now, so that the best checkpoint is the best as it is saved."""
        with self.finished():
            metrics: dict[str, float] = super().evaluate(*args, **kwargs)
        return metrics

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Predict with the model as it would be handed over now."""
        with self.finished():
            return super().predict(*args, **kwargs)

    def save_model(self, output_dir: str | None = None, *args: Any, **kwargs: Any) -> None:
        """Save the model as it would be handed over now; in a checkpoint also what it takes to go on.

        There and not in a callback `on_save`, which comes only after a checkpoint was pushed to the hub.
        """
        with self.finished():
            super().save_model(output_dir, *args, **kwargs)
            is_checkpoint = Path(output_dir or "").name == f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
            if is_checkpoint and self._acting and not self.args.save_only_model:
                evidence = self._case.of_all()
                if self.args.should_save:
                    self._handover.write(Path(str(output_dir)), evidence)
        if self.safeguards:
            self.write_card(Path(output_dir or str(self.args.output_dir)))

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """The card of TRL, with a section on the safeguards."""
        super().create_model_card(*args, **kwargs)
        if self.safeguards:
            self.write_card(Path(str(self.args.output_dir)))

    def write_card(self, folder: Path) -> None:
        """Name the safeguards in the README of a folder that the model was saved in."""
        if self.args.should_save:
            write_section(folder, self.safeguards, self._case.so_far(), self.state.global_step)

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """The micro-batches of the next step; none after the last, from which a resumed training would go one on."""
        if self.state.global_step >= self.state.max_steps or self.control.should_training_stop:
            return [], None
        return super().get_batch_samples(*args, **kwargs)
