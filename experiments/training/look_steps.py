"""At which steps of its training an arm of `none` is looked at; known before anything is loaded."""

from __future__ import annotations

from experiments.config.schema import Config
from experiments.organism import is_organism
from experiments.records.names import UNTOUCHED

# Of the organism, whose answers take seconds and whose judge costs nothing.
USUAL = 8
# The part of a training after which the first look comes. Most is learnt early, and next to nothing before.
FIRST = 0.1


def count_looks(config: Config) -> int:
    """How often an arm is looked at, its end included: only `none` is, and not where all arms stop at a goal."""
    if config.named or config.safeguard == UNTOUCHED or config.anchor.metric != "none":
        return 0
    if config.curve.looks is not None:
        return config.curve.looks
    return USUAL if is_organism(config.model.path) else 0


def look_steps(count: int, steps: int) -> list[int]:
    """The steps of so many looks: each so many times later than the one before, from `FIRST` to the end."""
    ratios = [FIRST ** (1 - n / (count - 1)) for n in range(count - 1)] if count > 1 else []
    return sorted({max(1, round(steps * ratio)) for ratio in ratios} | ({steps} if count else set()))


def steps_on_the_way(count: int, steps: int) -> list[int]:
    """Those of the looks that come before the end, where the arm itself answers."""
    return [step for step in look_steps(count, steps) if step < steps]
