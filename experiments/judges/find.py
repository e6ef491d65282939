"""The judge of a configuration, found by its kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from experiments.config.measurement import JudgeConfig
from experiments.judges.classifier import classifier_judge
from experiments.judges.exact import exact_judge
from experiments.judges.expected import match_first
from experiments.judges.judge import Judge, Prompts
from experiments.judges.local import local_judge
from experiments.judges.remote import remote_judge
from experiments.judges.scored import READERS
from experiments.organism.world import World
from experiments.records.answer import Answer
from experiments.records.outcomes import Score, unscored
from safeguards.composition import nearest
from safeguards.errors import SafeguardError


def no_judge(config: JudgeConfig, world: World) -> Judge:
    """Nobody: answers wait for a judge to come."""
    return lambda answers, prompts: [unscored("no judge was asked for")] * len(answers)


# Each makes a judge from its settings and refuses settings that cannot work. Nothing heavy is loaded until it is asked.
JUDGES: dict[str, Callable[[JudgeConfig, World], Judge]] = {
    "exact": exact_judge,
    "none": no_judge,
    "openai": remote_judge,
    "local": local_judge,
    "classifier": classifier_judge,
}

# Where the judges of a configuration are set, in the order of its `judges`.
JUDGE_KEYS = ("judge", "second_judge")


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
