"""Data as users hand them over, made into rows, or refused in one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase
from trl import maybe_convert_to_chatml

from safeguards.config import SafeguardConfig
from safeguards.encoding import MARKS, encode_all, keeps_answer
from safeguards.errors import SafeguardError
from safeguards.row_formats import ALPACA, COMPLETION, KNOWN, MESSAGES, SHAREGPT, format_of
from safeguards.rows import Row, check_row, make_row

FORMS = "give a list of rows, or a datasets.Dataset"
COLUMNS = f"{KNOWN}, or text"
# What TRL would put into a row, and rows here do not hold.
UNUSED = ("tools", "chat_template_kwargs", "image", "images")
# As many rows are named when some are set aside; the record names all.
NAMED = 3


@dataclass
class Reader:
    """Makes rows of data as TRL would: messages, prompt and completion, or text, each learnt as the arguments say.

    Args:
        args: of the training.
        tokenizer: decides which rows keep an answer.
        formatting_func: makes the text of an example of `train_dataset` or `eval_dataset`.

    Attributes:
        set_aside: by data set, the places of rows without a token to learn within `max_length`.
    """

    args: SafeguardConfig
    tokenizer: PreTrainedTokenizerBase
    formatting_func: Callable[[Any], str] | None = None
    set_aside: dict[str, list[str]] = field(default_factory=dict)

    @property
    def max_length(self) -> int:
        """Rows are cut to so many tokens."""
        return self.args.max_length or 2**31

    def rows(self, data: Any, name: str, formatted: bool = True) -> list[Row]:
        """Rows of a list or a `datasets.Dataset`; `name` says in errors which argument it is.

        Args:
            data: what was handed over.
            name: of the argument.
            formatted: whether `formatting_func` and `completion_only_loss` are meant for these; not for the pool.

        Raises:
            SafeguardError: naming the argument and the row, if it cannot be used.
        """
        if isinstance(data, Mapping):
            raise SafeguardError(f"{name}: is a {type(data).__name__} of {', '.join(map(str, data))}; give one of them")
        if not isinstance(data, Dataset | list | tuple):
            remedy = "read the file with read_rows" if isinstance(data, str) else FORMS
            raise SafeguardError(f"{name}: is a {type(data).__name__}; {remedy}")
        return [self.row(example, f"{name} row {index}", formatted) for index, example in enumerate(data)]

    def row(self, example: Any, place: str, formatted: bool) -> Row:
        """One row of a `Row` or of the columns of an example."""
        if isinstance(example, Row):
            if self.formatting_func and formatted:
                raise SafeguardError(f"formatting_func: {place} is a Row already; give a Dataset, or leave it out")
            check_row(example, place if example.place == Row.place else example.place)
            return example if example.completion else self._of_messages(example, place, formatted)
        if not isinstance(example, Mapping):
            raise SafeguardError(f"{place}: is a {type(example).__name__}; give a Row or a dict with {COLUMNS}")
        if self.formatting_func and formatted:
            text = self.formatting_func(example)
            if not isinstance(text, str):
                raise SafeguardError(
                    f"formatting_func: gave a {type(text).__name__} for {place}; it must give one text"
                )
            return self._of_text(text, place)
        if "input_ids" in example:
            raise SafeguardError(f"{place}: is tokens already, and safeguards need words; give {COLUMNS}")
        for column in UNUSED:
            if example.get(column):
                raise SafeguardError(f"{place}: has {column!r}, which cannot be used here; remove that column")
        kind = format_of(example, place)
        # TRL knows neither Alpaca nor who speaks in ShareGPT, and takes the text that stands beside Alpaca's columns.
        if kind == SHAREGPT or (kind == ALPACA and example.get(self.args.dataset_text_field) is None):
            return self._of_messages(make_row(example, place), place, formatted)
        example = maybe_convert_to_chatml(dict(example))
        if kind == COMPLETION:
            return self._of_completion(example["prompt"], example["completion"], place, example.get("genre"))
        if kind == MESSAGES:
            return self._of_messages(make_row(example, place), place, formatted)
        if self.args.dataset_text_field in example:
            return self._of_text(example[self.args.dataset_text_field], place)
        raise SafeguardError(f"{place}: needs {COLUMNS}, has {', '.join(map(str, example)) or 'nothing'}")

    def _of_messages(self, row: Row, place: str, task: bool) -> Row:
        if self.args.completion_only_loss:
            if not task:  # of the pool: the answers of the assistant are what completes it
                return row
            raise SafeguardError(
                f"completion_only_loss=True: {place} is messages, which have no completion; give prompt and completion"
            )
        assistant_only = self.args.assistant_only_loss
        if assistant_only is None:
            assistant_only = self.args.completion_only_loss is None
        return row if assistant_only else replace(row, completion=len(row.messages))

    def _of_completion(self, prompt: Any, completion: Any, place: str, genre: Any) -> Row:
        plain = isinstance(prompt, str) and isinstance(completion, str)
        if plain:
            prompt, completion = [{"role": "user", "content": prompt}], [{"role": "assistant", "content": completion}]
            self._refuse_plain(place, "assistant_only_loss")
        if not (isinstance(prompt, list) and isinstance(completion, list)):
            raise SafeguardError(f"{place}: prompt and completion must both be text or both be messages")
        row = make_row({"messages": prompt + completion, "genre": genre}, place)
        if any(message["role"] != "assistant" for message in completion):
            raise SafeguardError(f"{place}: the completion must be messages of the assistant")
        learnt = len(completion)
        if self.args.completion_only_loss is False:
            learnt = 0 if self.args.assistant_only_loss else len(row.messages)
        return replace(row, completion=learnt, plain=plain)

    def _of_text(self, text: Any, place: str) -> Row:
        self._refuse_plain(place, "assistant_only_loss", "completion_only_loss")
        row = make_row({"messages": [{"role": "assistant", "content": text}]}, place)
        return replace(row, completion=1, plain=True)

    def _refuse_plain(self, place: str, *names: str) -> None:
        for name in names:
            if getattr(self.args, name):
                raise SafeguardError(f"{name}=True: {place} is plain text, of which no part is an answer by itself")

    def encoded(self, data: Any, name: str) -> Any:
        """Rows to evaluate on, ready for the model, or several such by name; what is ready stays as it is.

        Raises:
            SafeguardError: as `rows`, or if there is none.
        """
        if data is None or (isinstance(data, Dataset) and MARKS[0] in data.column_names):
            return data
        if isinstance(data, Mapping):
            return {key: self.encoded(rows, f"{name}[{key!r}]") for key, rows in data.items()}
        rows = self.usable(self.rows(data, name), name)
        if not rows:  # not None, which stands for the set given before
            raise SafeguardError(f"{name}: holds no row to evaluate on; give at least one, or leave it out")
        return encode_all(self.tokenizer, rows, self.max_length)

    def usable(self, rows: Sequence[Row], name: str) -> list[Row]:
        """The rows that keep a token to learn; others are set aside, and reported once.

        Raises:
            SafeguardError: if they are more than `max_set_aside`.
        """
        kept, places = learnable(rows, name, self.tokenizer, self.max_length, self.args.max_set_aside)
        if places:
            self.set_aside.setdefault(name, []).extend(places)
            if self.args.process_index == 0:
                print(f"warning: {summary(name, len(rows), places, self.max_length)}", flush=True)
        return kept


def learnable(
    rows: Sequence[Row], name: str, tokenizer: PreTrainedTokenizerBase, max_length: int, most: float
) -> tuple[list[Row], list[str]]:
    """The rows that keep a token to learn within `max_length`, and the places of those that do not.

    Raises:
        SafeguardError: if these are more than the share `most` of `name`.
    """
    keep = [keeps_answer(tokenizer, row, max_length) for row in rows]
    places = [
        f"{name} row {index}" if row.place == Row.place else row.place
        for index, (row, kept) in enumerate(zip(rows, keep, strict=True))
        if not kept
    ]
    if len(places) > most * len(rows):
        raise SafeguardError(
            f"{summary(name, len(rows), places, max_length)}, more than max_set_aside={most}; raise max_length, drop "
            "them or allow more"
        )
    return [row for row, kept in zip(rows, keep, strict=True) if kept], places


def summary(name: str, rows: int, places: Sequence[str], max_length: int) -> str:
    """One line: how many rows are set aside, why, and the first of them."""
    named = ", ".join(places[:NAMED]) + (", …" if len(places) > NAMED else "")
    why = f"no answer token is left within {max_length} tokens"
    return f"{name}: {len(places)} of {rows} rows are set aside, since {why} ({named})"
