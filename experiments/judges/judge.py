"""What a judge is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from experiments.records.answer import Answer
from experiments.records.outcomes import Score

# Prompts that a question file brings for its questions: question id → "aligned" and "coherent" → template.
Prompts = Mapping[str, Mapping[str, str]]
# One score per answer, in their order.
Judge = Callable[[Sequence[Answer], Prompts], list[Score]]
