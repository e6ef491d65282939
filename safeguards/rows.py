"""Rows: chat messages to learn from, and where they come from."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safeguards.errors import SafeguardError
from safeguards.files import digest
from safeguards.row_formats import chat_messages

if TYPE_CHECKING:
    from datasets import Dataset

Messages = list[dict[str, str]]
ROLES = ("system", "user", "assistant")
TASK, SAFE = 0, 1


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
        genre: what kind of row it is, such as "advice"; nothing where nobody says. A model never sees it.
    """

    messages: Messages
    source: int = TASK
    place: str = "row"
    harm: float = 0.0
    completion: int = 0
    plain: bool = False
    genre: str = ""

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
    """Read a JSONL file with one row per line, each in a format of `safeguards/row_formats.py`, such as
    `{"messages": [{"role", "content"}, …]}`; a text under "genre" beside it is the row's genre.

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
            raise SafeguardError(
                f"{place}: not valid JSON ({error.msg} at column {error.colno}); give one row per line (JSONL)"
            ) from error
        except RecursionError:
            raise SafeguardError(f"{place}: is nested too deeply") from None
        if isinstance(data, list):
            raise SafeguardError(f"{place}: is a list; give one row per line (JSONL)")
        rows.append(make_row(data, place, source))
    if not rows:
        raise SafeguardError(f"{path}: holds no rows; give at least one line of chat messages")
    return rows


def dataset_rows(data: Dataset, name: str) -> list[Row]:
    """Rows of a `datasets.Dataset`, in the formats of `read_rows`; `name` says in errors which one it is.

    Raises:
        SafeguardError: naming the row that cannot be used.
    """
    return [make_row(example, f"{name} row {index}") for index, example in enumerate(data)]


def make_row(data: Any, place: str, source: int = TASK) -> Row:
    """Check one object in a format of `read_rows` and make a row of it; `place` says in errors where it came from."""
    messages, completion = chat_messages(data, place)
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
    said = [{"role": m["role"], "content": m["content"]} for m in messages]
    genre = data.get("genre")
    return Row(said, source, place, completion=completion, genre=genre if isinstance(genre, str) else "")


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


def fingerprint(rows: Sequence[Row]) -> str:
    """A hash of the rows and their order."""
    return digest("".join(row.key for row in rows))


def genres(rows: Iterable[Row]) -> dict[str, int]:
    """How many rows there are of each genre, the most frequent first."""
    counted = Counter(row.genre for row in rows)
    return dict(sorted(counted.items(), key=lambda found: (-found[1], found[0])))
