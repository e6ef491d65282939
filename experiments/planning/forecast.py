"""How long the rest of a sweep will take: by its arms that are done, and before there is any, by a few timed steps."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import NamedTuple

from experiments.arm.inputs import Inputs, asked_on_the_way, load_inputs
from experiments.config.measurement import AnchorConfig, MonitorConfig
from experiments.config.schema import Config
from experiments.organism import is_organism
from experiments.organism.world import load_world
from experiments.planning.identity import identity_fields
from experiments.planning.plan import PlannedArm
from experiments.planning.state import is_trained
from experiments.records.arm_files import count_answers, places_of, read_result
from experiments.records.files import DamagedError
from experiments.records.names import UNTOUCHED
from experiments.records.training_file import TrainingRecord
from experiments.tasks import load_task
from experiments.training.look_steps import count_looks, steps_on_the_way
from experiments.training.scorers import SEED, scorer_tasks
from safeguards.composition import NONE
from safeguards.errors import SafeguardError, one_line

# So many steps are timed. The first is not counted, since much is made ready in it.
TIMED = 3
# What a step under a safeguard is taken to cost until an arm has shown it, as a multiple of a plain one.
DEARER = 1.4


class Kind(NamedTuple):
    """What decides how long an arm takes: arms that agree in it take as long. Looks are counted with their end."""

    model: str
    safeguard: str
    task: str
    looks: int


def kind_of(config: Config) -> Kind:
    """The kind of an arm."""
    known = identity_fields(config)
    return Kind(json.dumps(known["model"]), known["safeguard"], config.task.name, count_looks(config))


class Took(NamedTuple):
    """Seconds of an arm that is done: without looks on its way; of these; and of answering at its end, in the first."""

    rest: float
    looks: float
    answering: float


class Forecast:
    """What is left of a sweep. Work is counted as if one process did it all.

    Args:
        arms: of the sweep, done or not.
    """

    def __init__(self, arms: Sequence[PlannedArm]) -> None:
        self.arms = {arm.folder: kind_of(arm.config) for arm in arms}
        self.looked = {kind: arm.config for arm in arms if (kind := self.arms[arm.folder]).looks}
        self.answers: dict[Kind, int] = {}
        self.took: dict[Path, Took] = {}

    def line(self) -> str:
        """How long what is left will take; nothing where no arm tells, or nothing is left."""
        if not (left := self.left()):
            return ""
        untold = sum(kind.model not in self._told() for kind in self._waiting())
        beside = f", and {untold} arms of models of which no arm is done yet" if untold else ""
        return f"about {in_words(left)} left{beside}"

    def left(self) -> float | None:
        """Seconds that the arms which are not done will take, each as long as those of its model that are most like it.

        None as long as none of them is done that was trained; of other models, arms do not count until then.
        """
        self._look()
        told = self._told()
        waiting = Counter(kind for kind in self._waiting() if kind.model in told)
        return sum(n * (self._like(kind) + self._looks(kind)) for kind, n in waiting.items()) if told else None

    def _waiting(self) -> list[Kind]:
        return [kind for folder, kind in self.arms.items() if folder not in self.took]

    def _told(self) -> set[str]:
        """The models of arms that are done and were trained."""
        return {kind.model for folder in self.took if (kind := self.arms[folder]).safeguard != UNTOUCHED}

    def _like(self, kind: Kind) -> float:
        """Without looks: of its model's arms with this safeguard and task, else one of both, else of all trained."""
        alike: dict[tuple[bool, bool], list[float]] = {}
        for folder, took in self.took.items():
            model, safeguard, task, _ = self.arms[folder]
            if model == kind.model and (safeguard == kind.safeguard or safeguard != UNTOUCHED):
                alike.setdefault((safeguard == kind.safeguard, task == kind.task), []).append(took.rest)
        return statistics.mean(alike[max(alike)])

    def _looks(self, kind: Kind) -> float:
        """Of looks on the way: as in arms of the kind, else by what an answer at the end of its model's arms took."""
        if kind not in self.looked:
            return 0.0
        if alike := [took.looks for folder, took in self.took.items() if self.arms[folder] == kind]:
            return statistics.mean(alike)
        of_model = {folder: took for folder, took in self.took.items() if self.arms[folder].model == kind.model}
        answers = sum(map(count_answers, of_model))
        return self._asked(kind) * sum(took.answering for took in of_model.values()) / max(1, answers)

    def _asked(self, kind: Kind) -> int:
        """How many answers looks of this kind want; none where the arm itself will say what is wrong with its rows."""
        if kind not in self.answers:
            config = self.looked[kind]
            try:
                self.answers[kind] = answers_on_the_way(config, load_inputs(config, load_world(*config.model.home)))
            except SafeguardError:
                self.answers[kind] = 0
        return self.answers[kind]

    def _look(self) -> None:
        """Take down how long each arm took that has been done since."""
        for folder in self.arms:
            if folder in self.took:
                continue
            try:
                result = read_result(folder)
                looks = [read_result(place) for place in places_of(folder)[1:]]
            except DamagedError:
                continue
            if result is not None:
                looked = sum(look.evaluation_seconds or 0.0 for look in looks if look)
                answering = result.evaluation_seconds or 0.0
                self.took[folder] = Took(_seconds(result.training, looked) + answering, looked, answering)


def _seconds(training: TrainingRecord | None, looked: float) -> float:
    """Of a training without its looks. Where it began anew, those that it found count in no second of it."""
    return max(training.seconds - looked, training.steps * training.step_seconds) if training else 0.0


def forecast_by_steps(arms: Sequence[PlannedArm]) -> str:
    """How long the fine-tunes of these arms and of their scorers will take, by a few steps that are made now for it.

    Args:
        arms: that are not done. Those that are trained already, or need not be, do not count; where no other is left,
            no step is made. Not for the organism, whose first arm is done by then.
    """
    models: dict[str, list[Config]] = {}
    for arm in arms:
        if not is_trained(arm):
            models.setdefault(kind_of(arm.config).model, []).append(arm.config)
    if all(is_organism(configs[0].model.path) for configs in models.values()):
        return ""
    took: list[str] = []
    total, looked = 0.0, 0
    try:
        for configs in reversed(models.values()):  # the model of the first arm last, so that it is there
            plain = step_seconds(replace(configs[0], safeguard=NONE))
            took.insert(0, f"{plain:.1f} s" + f" with {configs[0].model.name}" * (len(models) > 1))
            inputs = [load_inputs(config, load_world(*config.model.home)) for config in configs]
            total += plain * (sum(map(work_in_steps, configs, inputs)) + sum(scorer_steps(configs).values()))
            looked += sum(map(answers_on_the_way, configs, inputs))
    except Exception as error:  # the arm itself will say what is wrong
        return f"how long this will take is not known before the first arm is done ({one_line(error)})"
    work = "fine-tuning and choices, and what answering takes"
    work += f", {looked:,} answers of none on its way included" * (looked > 0)
    return f"a step takes {', '.join(took)}: about {in_words(total)} of {work}"


def step_seconds(config: Config) -> float:
    """Of a plain step, on the first rows of the task."""
    from experiments.models.lend import lend_model
    from experiments.training.fine_tune import FineTune

    training, world = config.training, load_world(*config.model.home)
    rows = load_inputs(config, world).task.rows[: TIMED * training.batch_size * training.accumulation]
    brief = replace(
        config,
        training=replace(training, epochs=1, proof="off", checkpoint_steps=None),
        anchor=AnchorConfig(),
        monitor=MonitorConfig(),
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = FineTune(brief, lend_model(config.model), Path(folder), rows)
        trainer.fine_tune()
    return statistics.median(trainer.watch.step_seconds[1:] or trainer.watch.step_seconds)


def work_in_steps(config: Config, inputs: Inputs) -> float:
    """What fine-tuning an arm and measuring its choices costs, in plain steps; rows that safeguards add are left aside.

    A choice is two rows that are read once, a row of a step is read about three times.
    """
    steps = _steps(config, len(inputs.task.rows), config.training.epochs)
    read = 2 * len(inputs.choices) / (config.training.batch_size * config.training.accumulation)
    return steps * (1.0 if config.safeguard == NONE else DEARER) + read / 3


def answers_on_the_way(config: Config, inputs: Inputs) -> int:
    """How many answers an arm gives in looks before the end of its training; all judges score them, too."""
    looks = steps_on_the_way(count_looks(config), _steps(config, len(inputs.task.rows), config.training.epochs))
    return len(looks) * sum(probe.samples for probe in asked_on_the_way(inputs))


def scorer_steps(configs: Sequence[Config]) -> dict[str, int]:
    """Steps of each scorer that has to be fine-tuned, by its task; one that the cache holds counts, too."""
    found = {}
    for config in configs:
        for safeguard in config.named:
            if safeguard.needs_scorers and not config.safeguards[safeguard.name].scorers:
                for task in scorer_tasks(config, safeguard.name):
                    rows = load_task(task, SEED, load_world(*config.model.home)).rows
                    found[task.name] = _steps(config, len(rows), config.scorers.epochs)
    return found


def _steps(config: Config, rows: int, epochs: float) -> int:
    return ceil(epochs * ceil(rows / (config.training.batch_size * config.training.accumulation)))


def in_words(seconds: float) -> str:
    """A time as one says it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} hours"
