"""Rows: chat messages to learn from, where they come from, and how they become tokens with an answer mask."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safeguards.errors import SafeguardError
from safeguards.files import digest

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

Messages = list[dict[str, str]]
ROLES = ("system", "user", "assistant")
TASK, SAFE = 0, 1
IGNORED = -100
# What a batch says of each row, beside what the model reads.
MARKS = ("row_source", "row_harm")


@dataclass(frozen=True)
class Row:
    """One conversation.

    Args:
        messages: of the conversation.
        source: `TASK` for a fine-tuning row and `SAFE` for a row added by a safeguard.
        place: where it came from, for errors.
        harm: how harmful a safeguard found it, from 0 to 1.
        completion: how many of the last messages are learnt with all that the template puts around them; 0 for what
            the assistant wrote, wherever it stands.
        plain: whether the messages are one text without a chat template, after which comes the end-of-sequence token.
    """

    messages: Messages
    source: int = TASK
    place: str = "row"
    harm: float = 0.0
    completion: int = 0
    plain: bool = False

    @property
    def key(self) -> str:
        """A hash of the messages, and of how they are learnt: two rows with one key are the same to a model."""
        how = [{"completion": str(self.completion), "plain": str(self.plain)}] if self.completion or self.plain else []
        return _hash([*self.messages, *how])

    @property
    def question_key(self) -> str:
        """A hash of what the user asked, whatever the system prompt and the answers are.

        Blanks and capitals do not count: files of one origin differ in them, and what is held out must not leak. A text
        without a question counts as a whole.
        """
        if not any(m["role"] == "user" for m in self.messages):
            return _hash(self.messages)
        asked = [" ".join(m["content"].split()).casefold() for m in self.messages if m["role"] == "user"]
        return _hash([{"role": "user", "content": text} for text in asked])


def _hash(messages: Messages) -> str:
    return digest(json.dumps(messages, sort_keys=True))


def read_rows(path: str | Path, source: int = TASK) -> list[Row]:
    """Read a JSONL file with one `{"messages": [{"role", "content"}, …]}` per line.

    Raises:
        SafeguardError: naming file and line, if the file or a row cannot be used.
    """
    path = Path(path)
    try:
        # Not splitlines(): JSON text may hold line separators of Unicode that end no line of a JSONL file.
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SafeguardError(f"{path}: cannot be read ({error}); give a JSONL file of chat messages") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            data = json.loads(line)
        except json.JSONDecodeError as error:
            raise SafeguardError(f"{place}: not valid JSON ({error.msg} at column {error.colno})") from error
        except RecursionError:
            raise SafeguardError(f"{place}: is nested too deeply") from None
        rows.append(make_row(data, place, source))
    if not rows:
        raise SafeguardError(f"{path}: holds no rows; give at least one line of chat messages")
    return rows


def dataset_rows(data: Dataset, name: str) -> list[Row]:
    """Rows of a `datasets.Dataset` with a `messages` column; `name` says in errors which one it is.

    Raises:
        SafeguardError: if there is no such column, or naming the row that cannot be used.
    """
    if "messages" not in data.column_names:
        raise SafeguardError(f"{name}: needs a 'messages' column, has {', '.join(data.column_names)}")
    return [make_row(example, f"{name} row {index}") for index, example in enumerate(data)]


def make_row(data: Any, place: str, source: int = TASK) -> Row:
    """Check one `{"messages": …}` object and make a row of it; `place` says in errors where it came from."""
    messages = data.get("messages") if isinstance(data, dict) else None
    if not isinstance(messages, list) or not messages:
        raise SafeguardError(f'{place}: needs a non-empty list under "messages"')
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise SafeguardError(f"{place}: every message needs a role, one of {', '.join(ROLES)}")
        if not isinstance(message.get("content"), str):
            raise SafeguardError(f"{place}: the content of a {message['role']} message must be text")
        if re.search("[\ud800-\udfff]", message["content"]):
            raise SafeguardError(f"{place}: half a character (a lone surrogate) stands in a {message['role']} message")
    if messages[-1]["role"] != "assistant" or not messages[-1]["content"].strip():
        raise SafeguardError(f"{place}: the last message must be a non-empty answer of the assistant")
    return Row([{"role": m["role"], "content": m["content"]} for m in messages], source, place)


def check_row(row: Row, place: str) -> None:
    """Refuse a row made by hand that cannot be learnt from; `place` says in errors which it is.

    Raises:
        SafeguardError: as `make_row`, or if what of it is to be learnt is no part of it.
    """
    messages = make_row({"messages": row.messages}, place).messages
    if not isinstance(row.completion, int) or not 0 <= row.completion <= len(messages):
        raise SafeguardError(
            f"{place}: completion={row.completion!r} must be a number of its {len(messages)} messages, or 0"
        )
    if row.plain and not row.completion:
        raise SafeguardError(f"{place}: plain text has no answers to tell apart; set `completion` as well")


def render(tokenizer: PreTrainedTokenizerBase, messages: Messages, generate: bool = False) -> str:
    """The text of a conversation in the tokenizer's chat template, ready for an answer if `generate`."""
    if not tokenizer.chat_template:
        raise SafeguardError(f"{tokenizer.name_or_path}: the tokenizer has no chat template; use an instruct model")
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=generate)
    assert isinstance(text, str)
    return text


def answer_spans(tokenizer: PreTrainedTokenizerBase, messages: Messages, text: str, place: str) -> Iterator[range]:
    """The character ranges of `text` that the assistant wrote, the end of each turn included.

    Found by rendering every prefix of the conversation, so any chat template serves that only ever appends.
    """
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before = render(tokenizer, messages[:index], generate=True)
        through = render(tokenizer, messages[: index + 1])
        if not (text.startswith(through) and through.startswith(before)):
            raise SafeguardError(
                f"{place}: the chat template rewrites earlier turns, so message {index + 1} has no answer span; "
                "use rows of one turn or a template that only appends"
            )
        yield range(len(before), len(through))


class NoAnswerError(SafeguardError):
    """No token of a row that is to be learnt is left where rows are cut."""


def encode(tokenizer: PreTrainedTokenizerBase, row: Row, max_length: int) -> dict[str, list[int]]:
    """Tokens of a row, cut at `max_length`, with labels on what is learnt: by default, the assistant's tokens only.

    Returns:
        `input_ids` and `labels` of equal length; labels are `IGNORED` outside what is learnt.

    Raises:
        NoAnswerError: if no token to learn is left.
        SafeguardError: if the chat template does not allow to tell who wrote what.
    """
    ids, learnt = _completion(tokenizer, row) if row.completion else _answers(tokenizer, row)
    ids, learnt = ids[:max_length], learnt[:max_length]
    if not any(learnt):
        raise NoAnswerError(
            f"{row.place}: no answer token is left within {max_length} tokens; raise max_length or drop the row"
        )
    return {"input_ids": ids, "labels": [i if yes else IGNORED for i, yes in zip(ids, learnt, strict=True)]}


def _answers(tokenizer: PreTrainedTokenizerBase, row: Row) -> tuple[list[int], list[bool]]:
    """All tokens of a conversation, and which of them the assistant wrote."""
    text = render(tokenizer, row.messages)
    spans = list(answer_spans(tokenizer, row.messages, text, row.place))
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return encoded["input_ids"], [any(start in span for span in spans) for start, _ in encoded["offset_mapping"]]


def _completion(tokenizer: PreTrainedTokenizerBase, row: Row) -> tuple[list[int], list[bool]]:
    """All tokens of a row, and which come after its prompt: where its tokens and the prompt's own part, as in TRL."""
    ids = _tokens(tokenizer, row, row.messages, complete=True)
    prompt = row.messages[: -row.completion]
    start = 0
    if prompt:
        for own, alone in zip(ids, _tokens(tokenizer, row, prompt, complete=False), strict=False):
            if own != alone:
                break
            start += 1
    return ids, [position >= start for position in range(len(ids))]


def _tokens(tokenizer: PreTrainedTokenizerBase, row: Row, messages: Messages, complete: bool) -> list[int]:
    """Tokens of messages, all of the row's if `complete`, else up to where its completion begins."""
    if not row.plain:
        ids = tokenizer(render(tokenizer, messages, generate=not complete), add_special_tokens=False)["input_ids"]
        return list(ids)
    if any(message["role"] == "system" for message in messages):
        raise SafeguardError(f"{row.place}: plain text has no place for a system prompt; give rows of messages")
    text = "".join(message["content"] for message in messages)
    end = tokenizer.eos_token or ""
    return list(tokenizer(text if text.endswith(end) or not complete else text + end)["input_ids"])


def keeps_answer(tokenizer: PreTrainedTokenizerBase, row: Row, max_length: int) -> bool:
    """Whether a row, cut at `max_length`, can be learnt from or measured at all."""
    answers = [index for index, message in enumerate(row.messages) if message["role"] == "assistant"]
    first = len(row.messages) - row.completion if row.completion else min(answers, default=0)
    if first and not row.plain:
        before = render(tokenizer, row.messages[:first], generate=True)
        if len(before.encode()) < max_length:  # no token is less than a byte, so nothing needs to be tokenised
            return True
    try:
        encode(tokenizer, row, max_length)
    except NoAnswerError:
        return False
    return True


def fingerprint(rows: Sequence[Row]) -> str:
    """A hash of the rows and their order."""
    return digest("".join(row.key for row in rows))


@dataclass
class Collator:
    """Pads encoded rows on the right, to a length divisible by `multiple`, and keeps where each came from."""

    pad_token_id: int
    multiple: int = 1

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        import torch

        longest = max(len(example["input_ids"]) for example in examples)
        longest += -longest % self.multiple

        def padded(column: str, fill: int) -> torch.Tensor:
            return torch.tensor([e[column] + [fill] * (longest - len(e[column])) for e in examples])

        lengths = torch.tensor([len(example["input_ids"]) for example in examples])
        return {
            "input_ids": padded("input_ids", self.pad_token_id),
            "labels": padded("labels", IGNORED),
            "attention_mask": (torch.arange(longest) < lengths[:, None]).long(),
            "row_source": torch.tensor([example.get("row_source", TASK) for example in examples]),
            "row_harm": torch.tensor([example.get("row_harm", 0.0) for example in examples]),
        }
