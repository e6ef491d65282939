"""The trainer: TRL's `SFTTrainer` with safeguards on the seams of its training step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

from safeguards.composition import compose
from safeguards.proof import Evidence, NoEffectError
from safeguards.rows import TASK, Collator, Row, dataset_rows, encode
from safeguards.safeguard import Run, Safeguard, SafeguardError, Term
from safeguards.step import Capture, Reference, Step, check_head, unwrap


@dataclass
class SafeguardConfig(SFTConfig):
    """`SFTConfig` with what safeguards need.

    Args:
        proof: what to do about a safeguard without effect: "error" (default), "warn" or "off".
        cache_dir: folder for what safeguards prepare (scores, vectors); None to keep nothing.
    """

    proof: str = field(default="error")
    cache_dir: str | None = field(default=None)

    def __post_init__(self) -> None:
        if self.proof not in ("error", "warn", "off"):
            raise SafeguardError(f"proof={self.proof}: must be one of error, warn, off")
        super().__post_init__()


class SafeguardTrainer(SFTTrainer):
    """Fine-tunes a causal LM on chat messages under safeguards.

    Without safeguards it is `SFTTrainer`, loss by loss and weight by weight.

    Args:
        model: a loaded causal LM. For LoRA give `peft_config`: what a model with an adapter started from is not known.
        args: `SafeguardConfig`.
        train_dataset: rows: a list of `Row`, or a `datasets.Dataset` with a `messages` column.
        processing_class: its tokenizer, with a chat template.
        safeguards: names joined by "+" (default settings), or safeguards, in the order in which they act.
        pool: safe rows, in the same forms as `train_dataset`; needed by interleaving.
        eval_dataset: rows to evaluate on, in the same forms.
        **kwargs: as for `SFTTrainer`, such as `peft_config` and `callbacks`.

    Raises:
        SafeguardError: before training, if a row or a setting cannot be used.
        NoEffectError: after training, if a safeguard had no effect and `proof="error"`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        args: SafeguardConfig,
        train_dataset: Dataset | Sequence[Row],
        processing_class: PreTrainedTokenizerBase,
        safeguards: str | Sequence[Safeguard] = "none",
        pool: Dataset | Sequence[Row] = (),
        eval_dataset: Dataset | Sequence[Row] | None = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(model, PeftModel):
            raise SafeguardError(
                "the model has an adapter already; merge it (`merge_and_unload`) and give `peft_config`"
            )
        self.safeguards = compose(safeguards) if isinstance(safeguards, str) else list(safeguards)
        self.evidence = Evidence()
        self.trace: list[str] = []
        self.notes: dict[str, Any] = {}
        self._active = ExitStack()
        if self.safeguards and model.device.type == "cpu":
            model.to(args.device)  # as Trainer would, but before safeguards run the model to prepare
        run = Run(
            model=model,
            tokenizer=processing_class,
            rows=as_rows(train_dataset, "train_dataset"),
            pool=as_rows(pool, "pool"),
            seed=args.seed,
            max_length=args.max_length or 2**31,
            batch_size=args.per_device_train_batch_size,
            cache=Path(args.cache_dir) if args.cache_dir else None,
            progress=not args.disable_tqdm,
            notes=self.notes,
        )
        self.rows = self._prepare_rows(run)
        held_out = [] if eval_dataset is None else as_rows(eval_dataset, "eval_dataset")
        args.dataset_kwargs = {**(args.dataset_kwargs or {}), "skip_prepare_dataset": True}
        super().__init__(
            model=model,
            args=args,
            train_dataset=encode_all(processing_class, self.rows, run.max_length),
            eval_dataset=encode_all(processing_class, held_out, run.max_length) if held_out else None,
            processing_class=processing_class,
            data_collator=Collator(_pad_id(processing_class)),
            **kwargs,
        )
        reads_reference = any(safeguard.needs_reference for safeguard in self.safeguards)
        self._reference = Reference(self.model) if reads_reference else None
        self._layers = tuple(sorted({layer for safeguard in self.safeguards for layer in safeguard.layers}))
        self._reads_loss = [s for s in self.safeguards if type(s).loss is not Safeguard.loss and not s.idle]
        if self._reads_loss:
            check_head(unwrap(self.model))

    # Data and prompt seams ------------------------------------------------------------------------------------------

    def _prepare_rows(self, run: Run) -> list[Row]:
        for safeguard in self.safeguards:
            if safeguard.needs_pool and not run.pool and not safeguard.idle:
                raise SafeguardError(f"{safeguard.name}: needs a pool of safe rows and none was given")
            safeguard.prepare(run)
        rows = list(run.rows)
        for safeguard in self.safeguards:
            before = len(rows)
            rows = safeguard.rows(rows)
            if len(rows) != before:
                self.trace.append(f"{safeguard.name}: {before} → {len(rows)} rows")
        for safeguard in self.safeguards:
            rows = [
                replace(row, messages=safeguard.prompt(row.messages)) if row.source == TASK else row for row in rows
            ]
        return rows

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if "row_source" not in self._signature_columns:
            self._signature_columns.append("row_source")

    # Activation seam ------------------------------------------------------------------------------------------------

    def training_step(self, model: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        """Forward and backward of one micro-batch inside every `active` context; after the last, the gradient seam.

        Raises:
            FloatingPointError: if the loss is not a finite number.
        """
        self._enter_active()
        try:
            loss: Tensor = super().training_step(model, *args, **kwargs)
        finally:
            self._active.close()
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss.item()} at step {self.state.global_step}; lower the learning rate or a weight"
            )
        if self.accelerator.sync_gradients:
            self._act_on(lambda safeguard: safeguard.gradient)
        return loss

    def _enter_active(self) -> None:
        inner = self.accelerator.unwrap_model(self.model)
        for safeguard in self.safeguards:
            self._active.enter_context(safeguard.active(inner))

    @contextmanager
    def _paused(self) -> Iterator[None]:
        self._active.close()
        try:
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
        row_source = inputs.pop("row_source", None)
        if not model.training or row_source is None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        self.evidence.rows_by_source.update(row_source.tolist())
        if not self._reads_loss:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        inner = self.accelerator.unwrap_model(model)
        capture = Capture(inner, self._layers)
        with capture.recording():
            loss = super().compute_loss(model, inputs, False, num_items_in_batch)
        own_tokens = (inputs["labels"][:, 1:] != -100).sum().clamp(min=1)
        tokens = own_tokens if num_items_in_batch is None else num_items_in_batch
        step = Step(inner, inputs, row_source, capture.states, tokens, self._reference, self._layers, self._paused)
        # As for the cross-entropy: tokens are counted over all processes, and DDP averages the gradients.
        windowed = num_items_in_batch is not None
        spread = self.accelerator.num_processes if windowed and self.args.average_tokens_across_devices else 1
        names = [safeguard.name for safeguard in self._reads_loss]
        look = self.evidence.wants(self.state.global_step, self.state.max_steps - 1, names)
        total = loss
        for safeguard in self._reads_loss:
            # The reference pass runs inside, so it needs the precision that accelerate gives the model's own forward.
            with self.accelerator.autocast():
                terms = safeguard.loss(step)
            if look:
                self.evidence.look_at(safeguard.name, terms, loss / spread, inner.parameters())
            for name, term in terms.items():
                self._log_term(name, term, windowed)
                total = total + term.weight * spread * term.value
        return total

    def _log_term(self, name: str, term: Term, windowed: bool) -> None:
        value = term.value.detach()
        if windowed:
            # A term is its share of the window over all processes, and SFTTrainer logs means over micro-batches.
            value = self.accelerator.reduce(value, "sum") * self.current_gradient_accumulation_steps
        self._metrics["train"][f"safeguard/{name}"].append(float(value))

    # Gradient and weight seams --------------------------------------------------------------------------------------

    def _act_on(self, seam: Callable[[Safeguard], Callable[[PreTrainedModel], None]]) -> None:
        """Let every safeguard act on the unwrapped model at a seam."""
        model = self.accelerator.unwrap_model(self.model)
        for safeguard in self.safeguards:
            seam(safeguard)(model)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train, then let safeguards act on the weights, then demand proof of effect."""
        output = super().train(*args, **kwargs)
        self._act_on(lambda safeguard: safeguard.weights)
        missing = [lack for s in self.safeguards if not s.idle for lack in s.check(self.evidence)]
        self.trace += missing
        if missing and self.args.proof == "error":
            raise NoEffectError("; ".join(missing) + ' (set proof="warn" to accept this)')
        for lack in missing if self.args.proof == "warn" else ():
            self.accelerator.print(f"warning: {lack}")
        return output


def as_rows(data: Dataset | Sequence[Row], name: str) -> list[Row]:
    """Rows from what a user hands over.

    Raises:
        SafeguardError: naming the argument and the row, if there are no `messages` or they cannot be used.
    """
    return dataset_rows(data, name) if isinstance(data, Dataset) else list(data)


def encode_all(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row], max_length: int) -> Dataset:
    """Encoded rows with where each came from."""
    return Dataset.from_list([{**encode(tokenizer, row, max_length), "row_source": row.source} for row in rows])


def _pad_id(tokenizer: PreTrainedTokenizerBase) -> int:
    identifier = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    return int(identifier or 0)
