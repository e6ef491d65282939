"""What is measured: trainers of one model on the same rows, in turns."""

from __future__ import annotations

import copy
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from hydra import compose as compose_config
from hydra import initialize_config_dir
from tqdm import tqdm
from transformers import TrainerCallback
from trl import SFTTrainer

from experiments.benchmark.meters import Cost, Meter, forward_seconds, now, reference_passes
from experiments.benchmark.plain import SHAPES, plain_trainer, shaped
from experiments.config.compose import CONF, CONFIG_ERRORS, load_config, reason
from experiments.config.schema import Config
from experiments.models.load import LoadedModel, load_model
from experiments.organism import SHIPPED
from experiments.organism.world import load_world
from experiments.tasks import load_task
from experiments.tasks.pool import load_pool
from experiments.training.fine_tune import FineTune
from experiments.training.scorers import with_scorers
from safeguards.composition import NONE, compose
from safeguards.errors import SafeguardError
from safeguards.rows import Row

ORGANISM, PLAIN, FORWARD = "organism", "SFTTrainer", "forward"


class Ratios(NamedTuple):
    """What one trainer costs. Ratios are to the plain trainer in the same round."""

    safeguard: str
    seconds: float
    time: float
    time_low: float
    time_high: float
    step: float
    ideal: float
    time_to_ideal: float
    forward_share: float
    reference_passes: float
    memory: float
    memory_bytes: int
    rounds: int


@dataclass
class Bench:
    """Trains one model on the first rows of the task, one epoch at a time.

    Args:
        model: an organism, one of `SHAPES`, or a Hugging Face folder or hub name.
        steps: of the plain trainer in one epoch.
        length: answers are repeated until a row has so many tokens; None to leave them.
        overrides: of the configuration, as in a sweep.
        folder: for what trainers write.
    """

    model: str
    steps: int
    length: int | None
    overrides: Sequence[str]
    folder: Path

    def __post_init__(self) -> None:
        self.config = self.configuration(NONE)
        training = self.config.training
        world = load_world(*self.config.model.home)
        task = load_task(self.config.task, self.config.seed, world)
        pool, _ = load_pool(self.config.pool, task.group, world)
        count = self.steps * training.batch_size * training.accumulation
        if count > len(task.rows):
            raise SafeguardError(
                f"--steps {self.steps}: needs {count} rows and {self.config.task.name} has {len(task.rows)}; lower it"
            )
        self.rows = [self.lengthened(row) for row in task.rows[:count]]
        self.pool = [self.lengthened(row) for row in pool]

    def configuration(self, expression: str) -> Config:
        """That of a sweep's arm, for one epoch and without demanding proof.

        Raises:
            SafeguardError: in one line, if there is no such configuration.
        """
        # A shape has no tokenizer of its own, and a foreign model no pool.
        path = ORGANISM if self.model in SHAPES else self.model
        foreign = ["model=local", f"model.path={path}", "pool.rows=1500"]
        own = [f"model={self.model}"] if self.model in SHIPPED else foreign
        own += [f"training.max_length={self.length}"] if self.length else []
        fixed = [f"safeguard={expression}", "training.epochs=1", "training.proof=off"]
        try:
            with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
                config = load_config(compose_config("config", [*own, *self.overrides, *fixed]))
        except CONFIG_ERRORS as error:
            raise SafeguardError(reason(error)) from error
        compose(expression, config.safeguards)
        return config

    def lengthened(self, row: Row) -> Row:
        """The row with its answer repeated so often that it has at least `length` tokens; training cuts it there."""
        *others, answer = row.messages
        said = {**answer, "content": " ".join([answer["content"]] * (self.length or 1))}
        return replace(row, messages=[*others, said])

    def load(self) -> LoadedModel:
        """The model on its device, and a tokenizer."""
        return shaped(self.model, self.config.model.dtype, load_model(self.config.model))

    def warm_up(self, name: str) -> tuple[SFTTrainer, Meter]:
        """A trainer that has trained for one epoch, in which its passes and its memory were measured."""
        if name == PLAIN:
            # With the arguments and the adapter of ours, which shows them after a short training.
            ours = self.train(NONE, self.rows[:1])
            adapter, args = copy.copy(ours.model.peft_config["default"]), copy.copy(ours.args)
            del ours
            trainer, meter = plain_trainer(self.load(), self.rows, args, adapter), Meter()
            trainer.add_callback(meter)
            trainer.train()
            return trainer, meter
        meter = Meter()
        return self.train(name, self.rows, [meter]), meter

    def train(self, expression: str, rows: list[Row], callbacks: Sequence[TrainerCallback] = ()) -> FineTune:
        """Train for one epoch under the safeguards of an expression."""
        config = self.configuration(expression)
        trainer = FineTune(config, self.load(), self.folder, rows, self.pool, with_scorers(config), callbacks)
        trainer.fine_tune()
        trainer.remove_callback(trainer.watch)
        return trainer

    def measure(self, expressions: Sequence[str], rounds: int, deadline: float) -> list[Ratios]:
        """What each expression costs, the plain trainer first.

        Args:
            expressions: what to measure.
            rounds: epochs of each that are timed.
            deadline: fewer are, but one, where another would end after it (as `now` counts).
        """
        names = [PLAIN, *expressions]
        kept: dict[str, tuple[SFTTrainer, Meter]] = {}
        seconds: dict[str, list[float]] = defaultdict(list)
        steps: dict[str, list[float]] = defaultdict(list)
        costs: dict[str, Cost] = {}
        references: dict[str, float] = {}

        # Of larger models, many do not fit into memory at once.
        together = names if self.model in SHIPPED else []

        def take_turn(name: str) -> None:
            trainer, meter = kept.pop(name) if name in kept else self.warm_up(name)
            assert meter.cost is not None
            costs[name], references[name] = meter.cost, reference_passes(trainer)
            trainer.train()
            seconds[name].append(meter.seconds)
            steps[name].append(statistics.median(meter.steps))
            if name == PLAIN:
                seconds[FORWARD].append(forward_seconds(trainer))
            if name in together:
                kept[name] = trainer, meter

        with tqdm(total=rounds * len(names) + len(together), leave=False) as bar:
            for name in together:
                bar.set_description(f"warm up {name}")
                kept[name] = self.warm_up(name)
                bar.update()
            for _ in range(rounds):
                began = now()
                for name in names:
                    bar.set_description(name)
                    take_turn(name)
                    bar.update()
                if 2 * now() - began > deadline:
                    break
        return [summary(name, seconds, steps, costs, references[name]) for name in names]


def summary(
    name: str,
    seconds: dict[str, list[float]],
    steps: dict[str, list[float]],
    costs: dict[str, Cost],
    references: float,
) -> Ratios:
    """One row of the table, as ratios to the plain trainer of the same round."""

    def ratios(own: list[float], plain: list[float]) -> list[float]:
        return [one / other for one, other in zip(own, plain, strict=True)]

    own, plain = costs[name], costs[PLAIN]
    times = ratios(seconds[name], seconds[PLAIN])
    forward = statistics.median(ratios(seconds[FORWARD], seconds[PLAIN]))
    ideal = (own.trained + forward * own.forward_only) / plain.trained
    return Ratios(
        safeguard=name,
        seconds=statistics.median(seconds[name]),
        time=statistics.median(times),
        time_low=min(times),
        time_high=max(times),
        step=statistics.median(ratios(steps[name], steps[PLAIN])),
        ideal=ideal,
        time_to_ideal=statistics.median(times) / ideal,
        forward_share=forward,
        reference_passes=references,
        memory=own.bytes / plain.bytes,
        memory_bytes=own.bytes,
        rounds=len(times),
    )
