"""The smallest difference between two arms that a sweep can be expected to find."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from scipy import stats

from experiments.config.schema import Config
from experiments.organism.world import load_world
from experiments.probes import Probe, load_probes
from experiments.records.names import BROAD, EM_TASK
from experiments.statistics.crossed import degrees_of_freedom
from experiments.tasks import load_task
from safeguards.errors import SafeguardError

# How much the effect of a safeguard on the rate of misaligned answers differs, as a standard deviation, between
# questions and between seeds: measured on the organism for four safeguards, 36 questions and three seeds.
BETWEEN_QUESTIONS, BETWEEN_SEEDS = 0.13, 0.03
# Rate around which the noise of single answers is taken.
RATE = 0.3


def smallest_effect(questions: int, answers: int, seeds: int, power: float = 0.8, level: float = 0.05) -> float:
    """The difference of two paired rates that is found with probability `power` by a two-sided test at `level`.

    Args:
        questions: independent questions (a question and its variants are one).
        answers: of one arm, over all questions and seeds.
        seeds: fine-tunes of each arm.
    """
    noise = 2 * RATE * (1 - RATE) / answers
    between = [(BETWEEN_QUESTIONS**2 / questions, questions - 1), (BETWEEN_SEEDS**2 / seeds, seeds - 1)]
    # As an interval estimates it: each with the noise of single answers in it.
    degrees = degrees_of_freedom([(variance + noise, free) for variance, free in between if free])
    error = sqrt(noise + sum(variance for variance, _ in between))
    return float((stats.t.ppf(1 - level / 2, degrees) + stats.norm.ppf(power)) * error)


def announce(configs: Sequence[Config]) -> str:
    """One line to print before a sweep; empty if it asks no broad questions, or of tasks of the hub only."""
    em = [config for config in configs if config.task.kind == EM_TASK and config.task.dataset is None]
    if not em:
        return ""
    config, tasks = em[0], {config.task.name for config in em}
    seeds = len({config.seed for config in em})
    world = load_world(config.model.world)
    try:
        probes: list[Probe] = load_probes(config.probes, load_task(config.task, config.seed, world), world)
    except SafeguardError:
        return ""  # the arm will say what is wrong
    broad = [probe for probe in probes if probe.set in BROAD]
    if not broad:
        return ""
    questions = len({(probe.set, probe.cluster) for probe in broad})
    answers = seeds * len(tasks) * sum(probe.samples for probe in broad)
    effect = smallest_effect(questions, answers, seeds)
    return (
        f"{questions} broad questions, {answers} answers per safeguard, {seeds} seeds: differences of about "
        f"{100 * effect:.0f} points or more are found (80 % power, 5 % level, one comparison)"
    )
