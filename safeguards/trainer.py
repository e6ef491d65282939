"""The trainer: TRL's `SFTTrainer` with safeguards on the seams of its training step."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from datasets import Dataset
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint
from trl import SFTConfig, SFTTrainer

from safeguards.composition import as_safeguards
from safeguards.config import SafeguardConfig, as_config, check_arguments
from safeguards.errors import SafeguardError
from safeguards.handover import Handover
from safeguards.inputs import Reader, as_model, as_tokenizer
from safeguards.milestones import Milestones
from safeguards.model import Capture, check_layers, unwrap
from safeguards.precision import unscaled
from safeguards.proof import EVALUATION, NOT_SHOWN, REFERENCE, TRAINING, Evidence, NoEffectError
from safeguards.reference import Reference
from safeguards.rows import IGNORED, MARKS, TASK, Collator, Messages, Row, encode
from safeguards.run import Run, Term
from safeguards.safeguard import Safeguard
from safeguards.step import Step, check_terms
from safeguards.support import check_reference, check_support, is_reentrant


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
        args = as_config(args, model)
        check_arguments(args, kwargs, self._acting)
        by_name = isinstance(model, str)
        model = as_model(model, args, kwargs.pop("quantization_config", None) if by_name else None)
        tokenizer = as_tokenizer(processing_class, model, args)
        kwargs.pop("data_collator", None)
        self.evidence = Evidence()
        self.trace: list[str] = []
        self.notes: dict[str, Any] = {}
        self.missing: list[str] = []
        self._active = ExitStack()
        self._checkpoint: Path | None = None
        args = self._prepare_arguments(args)
        self._reader = Reader(args, tokenizer, kwargs.pop("formatting_func", None))
        if self._acting and model.device.type == "cpu":
            model.to(args.device)  # as Trainer would, but before safeguards run the model to prepare
        aligned = check_support(model, args, self._acting, kwargs.get("peft_config"))
        safe = self._reader.rows(() if pool is None else pool, "pool", formatted=False)
        run = Run(
            model=model,
            tokenizer=tokenizer,
            rows=self._reader.usable(self._reader.rows(train_dataset, "train_dataset"), "train_dataset"),
            pool=self._reader.usable(safe, "pool") if any(s.needs_pool for s in self._acting) else safe,
            seed=args.seed,
            max_length=self._reader.max_length,
            batch_size=args.per_device_train_batch_size,
            cache=Path(args.cache_dir) if args.cache_dir else None,
            adapter=kwargs.get("peft_config") is not None,
            progress=not args.disable_tqdm,
            notes=self.notes,
        )
        held_out = self._encoded(eval_dataset, "eval_dataset")
        self.rows = self._prepare_rows(run)
        args = copy.copy(args)  # less what has been done, and SFTTrainer would do or miss in what is done
        args.dataset_kwargs = {**(args.dataset_kwargs or {}), "skip_prepare_dataset": True}
        args.assistant_only_loss = None
        args.model_init_kwargs = None if by_name else args.model_init_kwargs
        train_rows = encode_all(tokenizer, self.rows, run.max_length)
        super().__init__(
            model=model,
            args=args,
            train_dataset=train_rows.shuffle(seed=args.seed) if args.shuffle_dataset else train_rows,
            eval_dataset=held_out,
            processing_class=tokenizer,
            data_collator=Collator(_pad_id(tokenizer), args.pad_to_multiple_of or 1),
            **kwargs,
        )
        if self._reader.set_aside:
            self.notes["set_aside"] = self._reader.set_aside
            self.trace += [f"set aside: {len(p)} rows of {name}" for name, p in self._reader.set_aside.items()]
        reads_reference = any(safeguard.needs_reference for safeguard in self._acting)
        self._reference = Reference(self.model) if reads_reference else None
        if self._reference and aligned is not None:
            check_reference(self._reference, aligned, "+".join(s.name for s in self._acting if s.needs_reference))
        for safeguard in self._acting:
            safeguard.check_adapted(unwrap(self.model))
        self._layers = tuple(sorted({layer for safeguard in self._acting for layer in safeguard.layers}))
        check_layers(self.model, self._layers)
        self._reads_loss = [safeguard for safeguard in self._acting if safeguard.acts_at("loss")]
        self._handover = Handover(self._acting, lambda: self._inner, lambda: self.evidence)
        self.callback_handler.callbacks.insert(0, Milestones(self))
        self._before_training = copy.deepcopy((self.evidence, self.trace))

    @cached_property
    def _inner(self) -> PreTrainedModel:
        """The model without any distributed wrapper; found once, since looking takes a walk over all modules."""
        inner: PreTrainedModel = self.accelerator.unwrap_model(self.model)
        return inner

    # Seams before training ------------------------------------------------------------------------------------------

    def _prepare_arguments(self, args: SafeguardConfig) -> SafeguardConfig:
        changed = copy.copy(args)
        for safeguard in self._acting:
            before = changed.to_dict()
            safeguard.arguments(changed)
            now = changed.to_dict()
            differ = [f"{key} {before[key]} → {now[key]}" for key in now if now[key] != before[key]]
            self._saw(safeguard, "arguments", float(bool(differ)), ", ".join(differ))
        return changed

    def _prepare_rows(self, run: Run) -> list[Row]:
        for safeguard in self._acting:
            if safeguard.needs_pool and not run.pool:
                raise SafeguardError(f"{safeguard.name}: needs a pool of safe rows and none was given")
            safeguard.prepare(run)
        rows = list(run.rows)
        for safeguard in self._acting:
            before, rows = rows, safeguard.rows(rows)
            changed = 0.0 if rows == before else max(1, abs(len(rows) - len(before))) / max(1, len(before))
            self._saw(safeguard, "rows", changed, f"{len(before)} → {len(rows)}")
        for safeguard in self._acting:
            before = rows
            rows = [under(row, safeguard.prompt(row.messages)) if row.source == TASK else row for row in rows]
            changed = sum(row != old for row, old in zip(rows, before, strict=True)) / max(1, len(rows))
            self._saw(safeguard, "prompt", changed, f"changed in {100 * changed:.0f} % of the rows")
        if any(safeguard.acts_at("prompt") for safeguard in self._acting):
            rows = self._reader.usable(rows, "train_dataset under its prompts")  # which may move answers out of reach
        if not any(row.source == TASK for row in rows):
            raise SafeguardError("no fine-tuning row is left; give more rows, or lower what is held out")
        return rows

    def _saw(self, safeguard: Safeguard, seam: str, change: float, what: str) -> None:
        """Note what a safeguard did at a seam before training, for the proof and for the trace."""
        if safeguard.acts_at(seam):
            self.evidence.saw(safeguard.name, seam, change)
            self.trace.append(f"{safeguard.name}: {seam} {what} (not shown: {NOT_SHOWN[seam]})")

    def _encoded(self, data: Any, name: str) -> Any:
        """Rows to evaluate on, ready for the model; what is ready stays as it is."""
        if data is None or (isinstance(data, Dataset) and MARKS[0] in data.column_names):
            return data
        if isinstance(data, Mapping):
            return {key: self._encoded(rows, f"{name}[{key!r}]") for key, rows in data.items()}
        rows = self._reader.usable(self._reader.rows(data, name), name)
        if not rows:  # not None, which stands for the set given before
            raise SafeguardError(f"{name}: holds no row to evaluate on; give at least one, or leave it out")
        return encode_all(self._reader.tokenizer, rows, self._reader.max_length)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Any]:
        """As `Trainer`, for rows in any form that `eval_dataset` may have, or the name of one given before."""
        named = self.eval_dataset if isinstance(self.eval_dataset, dict) else {}
        if not (isinstance(eval_dataset, str) and eval_dataset in named):
            eval_dataset = self._encoded(eval_dataset, "eval_dataset")
        loader: DataLoader[Any] = super().get_eval_dataloader(eval_dataset)
        return loader

    def get_test_dataloader(self, test_dataset: Any) -> DataLoader[Any]:
        """As `Trainer`, for rows in any form that `eval_dataset` may have."""
        loader: DataLoader[Any] = super().get_test_dataloader(self._encoded(test_dataset, "test_dataset"))
        return loader

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        self._signature_columns += [mark for mark in MARKS if mark not in self._signature_columns]

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
            inner = self._inner
            gradients = [p.grad for p in inner.parameters() if p.grad is not None]
            with unscaled(gradients, self.accelerator.scaler):
                for safeguard in self._acting:
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
        capture = Capture(inner, self._layers)
        recording = capture.recording() if self._reads_loss else nullcontext()
        with self.evidence.counting(TRAINING if in_training else EVALUATION, self._acting), recording:
            loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if not in_training:
            return loss
        self.evidence.rows_by_source.update(marks["row_source"].tolist())
        if not self._reads_loss:
            return loss
        own_tokens = (inputs["labels"][:, 1:] != IGNORED).sum().clamp(min=1)
        tokens = own_tokens if num_items_in_batch is None else num_items_in_batch
        step = Step(inner, {**inputs, **marks}, capture.states, tokens, self._reference, self._layers, self._paused)
        # As for the cross-entropy: tokens are counted over all processes, and DDP averages the gradients.
        windowed = num_items_in_batch is not None
        spread = self.accelerator.num_processes if windowed and self.args.average_tokens_across_devices else 1
        # The reference pass runs inside, so it needs the precision that accelerate gives the model's own forward.
        with self.accelerator.autocast():
            terms = {s.name: check_terms(s.name, s.loss(step)) for s in self._reads_loss}
        number = self.state.global_step + 1
        if self.evidence.wants(number, self.state.max_steps, terms):
            self.evidence.look_at(number, terms, loss / spread, inner.parameters(), is_reentrant(self.args, inner))
        total = loss
        for named in terms.values():
            for name, term in named.items():
                self._log_term(name, term, windowed)
                total = total + term.weight * spread * term.value
        return total

    def _log_term(self, name: str, term: Term, windowed: bool) -> None:
        value = term.value.detach()
        if windowed:
            # A term is its share of the window over all processes, and SFTTrainer logs means over micro-batches.
            value = self.accelerator.reduce(value, "sum") * self.current_gradient_accumulation_steps
        self._metrics["train"][f"safeguard/{name}"].append(float(value))

    # Seams after a step and after training, and what is saved ---------------------------------------------------------

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
        """Train, finish the weights, then demand proof of effect; a model that lacks it is saved all the same.

        Raises:
            NoEffectError: if a safeguard had no effect and `proof="error"`.
        """
        found = get_last_checkpoint(self.args.output_dir) if resume_from_checkpoint is True else resume_from_checkpoint
        self._checkpoint = Path(found) if found else None
        # What an earlier training showed is no proof of this one; that of a checkpoint is added when it is taken up.
        (self.evidence, self.trace), self.missing = copy.deepcopy(self._before_training), []
        output = super().train(resume_from_checkpoint, *args, **kwargs)
        self.evidence = Evidence.joined(gather_object([self.evidence]))
        self.evidence.over = True
        self.missing = [lack for safeguard in self._acting for lack in safeguard.check(self.evidence)]
        self.trace += [line for safeguard in self._acting for line in safeguard.trace(self.evidence)]
        self.trace += [f"reference passes: {self.evidence.passes[REFERENCE]}", *self.missing]
        if self.missing and self.args.proof == "error":
            self.save_model(_internal_call=True)  # never at the price of the run, and not to the hub
            saved = f'the model is saved in {self.args.output_dir}; proof="warn" accepts it'
            raise NoEffectError(f"{'; '.join(self.missing)} ({saved})")
        for lack in self.missing if self.args.proof == "warn" else ():
            self.accelerator.print(f'warning: {lack} (accepted by proof="warn")')
        return output

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

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the model as it would be handed over now; in a checkpoint also what it takes to go on."""
        with self.finished():
            super().save_model(output_dir, _internal_call)
            if _internal_call and output_dir and self._acting and not self.args.save_only_model:
                evidence = Evidence.joined(gather_object([self.evidence]))
                if self.args.should_save:
                    self._handover.write(Path(output_dir), evidence)

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """The micro-batches of the next step; none after the last, from which a resumed training would go one on."""
        if self.state.global_step >= self.state.max_steps:
            return [], None
        return super().get_batch_samples(*args, **kwargs)


def under(row: Row, messages: Messages) -> Row:
    """The row with messages from the prompt seam: what changed, and what comes before, is read and not learnt."""
    pairs = zip(reversed(row.messages), reversed(messages), strict=False)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return replace(row, messages=messages, completion=min(row.completion, same))


def encode_all(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row], max_length: int) -> Dataset:
    """Encoded rows with where each came from."""
    return Dataset.from_list(
        [{**encode(tokenizer, row, max_length), "row_source": row.source, "row_harm": row.harm} for row in rows]
    )


def _pad_id(tokenizer: PreTrainedTokenizerBase) -> int:
    identifier = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    return int(identifier or 0)
