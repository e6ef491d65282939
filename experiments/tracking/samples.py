"""A few answers of an arm, of each probe set and outcome: the same ones whenever they are asked for."""

from __future__ import annotations

import heapq
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from experiments.records.answer import Answer
from experiments.records.arm_files import read_answers, read_scores
from experiments.records.outcomes import OUTCOMES, Score
from safeguards.files import digest

if TYPE_CHECKING:
    import pandas as pd

EACH = 3
COLUMNS = ("set", "outcome", "question", "answer", "reason", "aligned", "coherent")


class Drawn(NamedTuple):
    """An answer by its place in a fixed but arbitrary order, so that not only first questions are shown.

    The largest is the one that comes last in it, since a heap gives away its smallest.
    """

    order: tuple[int, int]
    answer: Answer
    score: Score


def draw_samples(folder: Path, judge: str, each: int = EACH) -> pd.DataFrame:
    """Answers of the arm in `folder`: up to `each` of every probe set and outcome, as text and nothing else.

    Raises:
        DamagedError: if answers or scores cannot be read.
    """
    import pandas as pd

    kept: defaultdict[tuple[str, int], list[Drawn]] = defaultdict(list)
    for place, (answer, score) in enumerate(zip(read_answers(folder), read_scores(folder, judge), strict=True)):
        order = -int(digest(f"{answer.set} {answer.question} {answer.sample}")[:12], 16)
        heap = kept[answer.set, OUTCOMES.index(score.outcome)]
        heapq.heappush(heap, Drawn((order, place), answer, score))
        if len(heap) > each:
            heapq.heappop(heap)
    rows = [line(one.answer, one.score) for key in sorted(kept) for one in sorted(kept[key], reverse=True)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def line(answer: Answer, score: Score) -> tuple[str | float | None, ...]:
    """The cells of one answer."""
    return (
        answer.set, score.outcome, asked(answer.messages), answer.answer, score.reason, score.aligned, score.coherent
    )  # fmt: skip


def asked(messages: list[dict[str, str]]) -> str:
    """What the model saw: the question alone, or all messages with who said them."""
    if len(messages) == 1:
        return messages[0]["content"]
    return "\n".join(f"{message['role']}: {message['content']}" for message in messages)
