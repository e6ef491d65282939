"""One question of an evaluation, and the sets that questions come in."""

from __future__ import annotations

from dataclasses import dataclass, field

from safeguards.rows import Messages

# Sets whose few questions carry a whole criterion are asked so many times more often than the others.
MORE_SAMPLES = 4


@dataclass(frozen=True)
class Probe:
    """A question to ask `samples` times.

    Attributes:
        set: which set it belongs to (`narrow`, `other_domains`, `open`, `facts`, …).
        id: names the question within its set.
        cluster: questions with one cluster are variants of each other, so not independent.
        messages: what the model sees: a system prompt if there is one, and the user's turns.
        samples: how many answers are drawn.
        judge_prompts: templates that its question file brings for judges that are asked in words.
        expected: the right answers, if only these are right; otherwise a judge decides.
    """

    set: str
    id: str
    cluster: str
    messages: Messages
    samples: int
    judge_prompts: dict[str, str] = field(default_factory=dict)
    expected: list[str] = field(default_factory=list)
