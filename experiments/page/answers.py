"""Every answer of a comparison with its score, small enough for a page: columns of numbers, and each text once.

As JSON, gzipped and in base64, 43,200 answers of 780 letters take 13 MB instead of 57, and nothing in that is markup.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from experiments.records.answer import Answer
from experiments.records.arm_files import read_answers, read_scores
from experiments.records.files import DamagedError
from experiments.records.outcomes import OUTCOMES, SCALES
from experiments.report.arms import Arm
from experiments.report.labels import named_groups
from experiments.report.report import Report
from experiments.terminal.printing import progress

# Scores behind an outcome, from 0 to 100.
NUMBERS = (*SCALES, "matches")


class Texts:
    """Texts by number, each kept once."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def number(self, text: str) -> int:
        """Of a text, which is kept."""
        return self.known.setdefault(text, len(self.known))

    def all(self) -> list[str]:
        """In the order of their numbers."""
        return list(self.known)


class Columns:
    """The answers, to which arm after arm is added."""

    def __init__(self) -> None:
        self.arms: list[dict[str, Any]] = []
        self.texts, self.reasons, self.questions = Texts(), Texts(), Texts()
        self.columns: dict[str, list[Any]] = {
            name: [] for name in ("arm", "question", "sample", "outcome", "reason", "text", *NUMBERS)
        }

    def add(self, arm: Mapping[str, Any], folder: Path, judge: str) -> None:
        """All answers of an arm.

        Raises:
            DamagedError: if one of them cannot be read, or there are not as many scores as answers.
        """
        self.arms.append(dict(arm))
        for answer, score in zip_longest(read_answers(folder), read_scores(folder, judge)):
            if answer is None or score is None:
                raise DamagedError(f"{folder}: not one score for each answer")
            values = {
                "arm": len(self.arms) - 1,
                "question": self.questions.number(asked(answer)),
                "sample": answer.sample,
                "outcome": OUTCOMES.index(score.outcome),
                "reason": self.reasons.number(score.reason),
                "text": self.texts.number(answer.answer),
                **{name: rounded(getattr(score, name)) for name in NUMBERS},
            }
            for name, value in values.items():
                self.columns[name].append(value)

    def as_json(self) -> dict[str, Any]:
        """As the script reads it; a column of numbers that nobody gave is left out."""
        columns = {name: held for name, held in self.columns.items() if any(value is not None for value in held)}
        return {
            "outcomes": OUTCOMES,
            "arms": self.arms,
            "questions": [json.loads(question) for question in self.questions.all()],
            "texts": self.texts.all(),
            "reasons": self.reasons.all(),
            "columns": columns,
        }


def asked(answer: Answer) -> str:
    """A question, with all that tells it from others."""
    messages = [[message["role"], message["content"]] for message in answer.messages]
    named = {"set": answer.set, "id": answer.question, "cluster": answer.cluster, "messages": messages}
    return json.dumps({**named, "expected": answer.expected})


def rounded(number: float | None) -> float | None:
    """To a tenth; None for what is no number."""
    return None if number is None or not math.isfinite(number) else round(number, 1)


def every_answer(report: Report) -> dict[str, Any]:
    """The answers of all arms that are compared, in the order of the rows."""
    found = Columns()
    arms: list[tuple[str, Arm]] = [(row, arm) for row, members in named_groups(report.arms).items() for arm in members]
    for row, arm in progress(arms, "read answers"):
        named = {"row": row, "task": arm.entry.task, "seed": arm.entry.seed, "world": arm.world}
        found.add(named, report.folder(arm), report.judge)
    return found.as_json()


def packed(answers: Mapping[str, Any]) -> str:
    """As they stand in the page. The same answers give the same text."""
    whole = json.dumps(answers, separators=(",", ":"), allow_nan=False).encode()
    return base64.b64encode(gzip.compress(whole, 6, mtime=0)).decode()
