"""The smallest difference between two arms that a sweep can be expected to find."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

from scipy import stats

from experiments.config.schema import Config
from experiments.organism import is_organism
from experiments.organism.world import load_world
from experiments.planning.pilot import Asked, announce_from
from experiments.probes import Probe, load_probes
from experiments.records.measures import BROAD_MISALIGNED, Measure, measure_named
from experiments.records.names import BENIGN_TASK, UNTOUCHED
from experiments.statistics.crossed import degrees_of_freedom
from experiments.tasks import load_task
from safeguards.errors import SafeguardError


class Differing(NamedTuple):
    """How much the effect of a safeguard on the rate of misaligned answers differs, as a standard deviation."""

    between_questions: float
    between_seeds: float


# By organism: measured for four safeguards, 36 questions and three seeds; between seeds it is raised (from 0.03 and
# 0.02) to what a test must allow for that knows so few of them. Of the second, over world 0 and three others; where
# seeds differ most (0.11, in one world) more is needed. With these, three seeds find what a pilot there says they do.
DIFFERING = {"one": Differing(0.13, 0.043), "two": Differing(0.07, 0.045)}
# That of `none`, around which the noise of single answers is taken.
RATE = 0.5


def smallest_effect(
    questions: int, answers: int, seeds: int, differing: Differing, power: float = 0.8, level: float = 0.05
) -> float:
    """The difference of two paired rates that is found with probability `power` by a two-sided test at `level`.

    Args:
        questions: independent questions (a question and its variants are one).
        answers: of one arm, over all questions and seeds.
        seeds: fine-tunes of each arm.
        differing: between questions and between seeds.
    """
    noise = 2 * RATE * (1 - RATE) / answers
    between = [
        (differing.between_questions**2 / questions, questions - 1),
        (differing.between_seeds**2 / seeds, seeds - 1),
    ]
    # As an interval estimates it: each with the noise of single answers in it.
    degrees = degrees_of_freedom([(variance + noise, free) for variance, free in between if free])
    error = sqrt(noise + sum(variance for variance, _ in between))
    return float((stats.t.ppf(1 - level / 2, degrees) + stats.norm.ppf(power)) * error)


def announce(configs: Sequence[Config]) -> str:
    """What to print before a sweep, a line for each model; empty if it asks nothing that the primary outcome counts.

    Raises:
        SafeguardError: if a pilot is named that does not tell.
    """
    measure = measure_named(configs[0].primary)
    first: dict[str, Config] = {}
    asked: dict[str, dict[tuple[str, int], list[Probe]]] = defaultdict(dict)
    by_task: dict[str, list[Probe]] = {}
    for config in configs:
        model, task = config.model.name, config.task
        if config.safeguard == UNTOUCHED or (task.kind == BENIGN_TASK) != measure.benign:
            continue
        if task.name not in by_task:
            by_task[task.name] = find_probes(config, measure)
        if by_task[task.name]:
            first.setdefault(model, config)
            asked[model][task.name, config.seed] = by_task[task.name]
    if configs[0].pilot and not first:
        raise SafeguardError(f"power.from={configs[0].pilot}: this sweep asks nothing that {measure.key} counts")
    lines = []
    for model, config in first.items():
        if config.pilot:
            lines.append(announce_from(config, measure, asked[model]))
        elif measure == BROAD_MISALIGNED and is_organism(config.model.path):
            lines.append(announce_organism(asked[model], DIFFERING[config.model.organism]))
        else:
            lines.append(
                f"{model}: which difference in {measure.key} will be found is not known before a pilot is named: "
                "power.from=<sweep>"
            )
    return "\n".join(lines)


def find_probes(config: Config, measure: Measure) -> list[Probe]:
    """What is asked that an outcome counts. Without a pilot to compare with, a data set of the hub is not fetched.

    Raises:
        SafeguardError: if it cannot be known, but a pilot is named; else the arm will say what is wrong, not all arms.
    """
    if config.task.dataset is not None and not config.pilot:
        return []
    world = load_world(*config.model.home)
    try:
        probes = load_probes(config.probes, load_task(config.task, config.seed, world), world)
    except SafeguardError:
        if config.pilot:
            raise
        return []
    return [probe for probe in probes if probe.set in measure.sets]


def announce_organism(asked: Asked, differing: Differing) -> str:
    """The same for an organism, of which it is known without a pilot."""
    every = [(seed, probe) for (_, seed), probes in asked.items() for probe in probes]
    questions = len({(probe.set, probe.cluster) for _, probe in every})
    answers, seeds = sum(probe.samples for _, probe in every), len({seed for seed, _ in every})
    effect = smallest_effect(questions, answers, seeds, differing)
    return (
        f"{questions} broad questions, {answers} answers per safeguard, {seeds} seed{'s' * (seeds > 1)}: differences "
        f"of about {100 * effect:.0f} points or more are found (80 % power, 5 % level, one comparison)"
    )
