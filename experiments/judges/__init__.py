"""Who scores the answers: several judges behind one interface.

Imports: config, models, organism, records.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from experiments.config.schema import JudgeConfig
from experiments.judges.classifier import classifier
from experiments.judges.exact import judge_exactly
from experiments.judges.judge import Judge, Prompts
from experiments.judges.local import local
from experiments.judges.match import match_first
from experiments.judges.openai import openai
from experiments.judges.scored import READERS, deciding, has_scored
from experiments.organism.world import World
from experiments.records.answer import Answer
from experiments.records.outcomes import Score, unscored
from safeguards.composition import nearest
from safeguards.errors import SafeguardError


def exact(config: JudgeConfig, world: World) -> Judge:
    """The organism's own."""
    return lambda answers, prompts: [judge_exactly(world, answer) for answer in answers]


def none(config: JudgeConfig, world: World) -> Judge:
    """Nobody: answers are kept for a judge to come."""
    return lambda answers, prompts: [unscored("no judge was asked for")] * len(answers)


# Each makes a judge from its settings and refuses settings that cannot work. Nothing heavy is loaded until it is asked.
JUDGES: dict[str, Callable[[JudgeConfig, World], Judge]] = {
    "exact": exact,
    "none": none,
    "openai": openai,
    "local": local,
    "classifier": classifier,
}

# Where the judges of a configuration are set, in the order of its `judges`.
JUDGE_KEYS = ("judge", "second_judge")

__all__ = [
    "JUDGES",
    "JUDGE_KEYS",
    "Judge",
    "Prompts",
    "Score",
    "deciding",
    "find_judge",
    "has_scored",
    "naming",
    "prompts",
]


def find_judge(config: JudgeConfig, world: World, key: str = "judge") -> Judge:
    """The judge of that kind. Where the right answers are known, all judges go by them.

    `key` is where the user set it, one of `JUDGE_KEYS`.

    Raises:
        SafeguardError: if there is no such kind, or its settings cannot work.
    """
    if config.kind not in JUDGES:
        raise SafeguardError(f"unknown judge {config.kind!r}: {nearest(config.kind, list(JUDGES))}")
    with naming(key):
        judge = match_first(JUDGES[config.kind](config, world), config.kind in READERS)

    def judged(answers: Sequence[Answer], prompts: Prompts) -> list[Score]:
        with naming(key):
            return judge(answers, prompts)

    return judged


@contextmanager
def naming(key: str) -> Iterator[None]:
    """Errors about `judge=…` or `judge.model` name what the user typed."""
    try:
        yield
    except SafeguardError as error:
        if key == JUDGE_KEYS[0]:
            raise
        said = re.sub(r"\bjudge(?=\.[a-z])", key, str(error)).replace("judge=", f"judge@{key}=")
        raise SafeguardError(said) from error.__cause__
