"""What users hand over, made into what the trainer works with, and the seams before training on the way."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from safeguards.case import Case
from safeguards.config import SafeguardConfig, as_config, check_arguments
from safeguards.encoding import encode_all
from safeguards.errors import SafeguardError
from safeguards.inputs import as_model, as_tokenizer
from safeguards.processes import first_speaks, of_first
from safeguards.quantised import keep_weights
from safeguards.reader import Reader
from safeguards.rows import TASK, Messages, Row, genres
from safeguards.run import Run
from safeguards.support import check_support


class Preparation:
    """Model, arguments and tokenizer of a training, then its rows.

    Args:
        case: of the safeguards that act.
        model: as `SafeguardTrainer` takes it, and so are the others.
        args: of the training.
        tokenizer: of the model.
        others: further arguments of `SFTTrainer`; what is not for it is taken out.

    Attributes:
        args: as the safeguards want them, less what is done here and `SFTTrainer` would do again.
        aligned: what the aligned model says to a few tokens; None if no safeguard meets the model.
        reader: of data.
        notes: of the safeguards, for the record; under `pool` how many safe rows of each genre there were.
        rows: to train on.
        train_dataset, eval_dataset: encoded.

    Raises:
        SafeguardError: naming what cannot be used.
    """

    def __init__(self, case: Case, model: Any, args: Any, tokenizer: Any, others: dict[str, Any]) -> None:
        args = as_config(args, model)
        check_arguments(args, others, case.safeguards)
        by_name = isinstance(model, str)
        self.model = as_model(model, args, others.pop("quantization_config", None) if by_name else None)
        keep_weights(self.model)
        self.tokenizer = as_tokenizer(tokenizer, self.model, args)
        others.pop("data_collator", None)
        self.case, self.adapter = case, others.get("peft_config")
        self.notes: dict[str, Any] = {}
        args = prepared_arguments(args, case)
        self.reader = Reader(args, self.tokenizer, others.pop("formatting_func", None))
        if case.safeguards and self.model.device.type == "cpu":
            self.model.to(args.device)  # as Trainer would, but before safeguards run the model to prepare
        self.aligned = check_support(self.model, args, case.safeguards, self.adapter)
        self.args = copy.copy(args)
        self.args.dataset_kwargs = {**(args.dataset_kwargs or {}), "skip_prepare_dataset": True}
        self.args.assistant_only_loss = None
        self.args.remove_unused_columns = False  # else what a batch says of each row would be lost
        self.args.model_init_kwargs = None if by_name else args.model_init_kwargs

    def read(self, train_dataset: Any, pool: Any, eval_dataset: Any) -> None:
        """Read the data, and let the safeguards prepare."""
        args, reader = self.args, self.reader
        safe = reader.rows(() if pool is None else pool, "pool", formatted=False)
        run = Run(
            model=self.model,
            tokenizer=self.tokenizer,
            rows=reader.usable(reader.rows(train_dataset, "train_dataset"), "train_dataset"),
            pool=reader.usable(safe, "pool") if any(s.needs_pool for s in self.case.safeguards) else safe,
            seed=args.seed,
            max_length=reader.max_length,
            batch_size=args.per_device_train_batch_size,
            cache=Path(args.cache_dir) if args.cache_dir else None,
            adapter=self.adapter is not None,
            progress=not args.disable_tqdm and args.process_index == 0,
            notes=self.notes,
        )
        self.eval_dataset = reader.encoded(eval_dataset, "eval_dataset")
        with first_speaks(args.process_index == 0):
            self.rows = of_first(prepared_rows(run, reader, self.case))
        if any(safeguard.needs_pool for safeguard in self.case.safeguards):
            self.notes["pool"] = genres(run.pool)
        encoded = encode_all(self.tokenizer, self.rows, run.max_length)
        self.train_dataset = encoded.shuffle(seed=args.seed) if args.shuffle_dataset else encoded
        if reader.set_aside:
            self.notes["set_aside"] = reader.set_aside
            for name, places in reader.set_aside.items():
                self.case.note(f"set aside: {len(places)} rows of {name}")


def prepared_arguments(args: SafeguardConfig, case: Case) -> SafeguardConfig:
    """A copy of the arguments, as the safeguards want them."""
    changed = copy.copy(args)
    for safeguard in case.safeguards:
        before = changed.to_dict()
        safeguard.arguments(changed)
        now = changed.to_dict()
        differ = [f"{key} {before[key]} → {now[key]}" for key in now if now[key] != before[key]]
        case.saw(safeguard, "arguments", float(bool(differ)), ", ".join(differ))
    return changed


def prepared_rows(run: Run, reader: Reader, case: Case) -> list[Row]:
    """The rows to train on, once every safeguard is prepared.

    Raises:
        SafeguardError: if a safeguard needs what was not given, or leaves no fine-tuning row.
    """
    for safeguard in case.safeguards:
        if safeguard.needs_pool and not run.pool:
            raise SafeguardError(f"{safeguard.name}: needs a pool of safe rows and none was given")
        safeguard.prepare(run)
    rows: Sequence[Row] = run.rows
    for safeguard in case.safeguards:
        before, rows = list(rows), safeguard.rows(list(rows))
        changed = 0.0 if rows == before else max(1, abs(len(rows) - len(before))) / max(1, len(before))
        case.saw(safeguard, "rows", changed, f"{len(before)} → {len(rows)}")
    for safeguard in case.safeguards:
        before = list(rows)
        rows = [under(row, safeguard.prompt(row.messages)) if row.source == TASK else row for row in rows]
        changed = sum(row != old for row, old in zip(rows, before, strict=True)) / max(1, len(rows))
        case.saw(safeguard, "prompt", changed, f"changed in {100 * changed:.0f} % of the rows")
    if any(safeguard.acts_at("prompt") for safeguard in case.safeguards):
        rows = reader.usable(rows, "train_dataset under its prompts")  # which may move answers out of reach
    if not any(row.source == TASK for row in rows):
        raise SafeguardError("no fine-tuning row is left; give more rows, or lower what is held out")
    return list(rows)


def under(row: Row, messages: Messages) -> Row:
    """The row with messages from the prompt seam: what changed, and what comes before, is read and not learnt."""
    pairs = zip(reversed(row.messages), reversed(messages), strict=False)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return replace(row, messages=messages, completion=min(row.completion, same))
