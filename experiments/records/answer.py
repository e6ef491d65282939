"""One answer of one arm to one question."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Answer:
    """One answer of one arm to one probe.

    Args:
        safeguard, task, seed: of the arm.
        set: of probes.
        question: names the question within its set.
        cluster: questions with one cluster are variants of each other, so not independent.
        sample: number of the answer to this question.
        messages: what the model saw.
        answer: what it said.
        expected: the right answers, if only these are right; otherwise a judge decides.
    """

    safeguard: str
    task: str
    seed: int
    set: str
    question: str
    cluster: str
    sample: int
    messages: list[dict[str, str]]
    answer: str
    expected: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not all({"role", "content"} <= message.keys() for message in self.messages):
            raise ValueError("a message without role or content")
