"""Misaligned scorers for safeguards that need some: fine-tuned on other domains than the defended one, and kept."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from experiments.config.compose import task_preset
from experiments.config.folders import cache_folder
from experiments.config.schema import Config, TaskConfig
from experiments.models.digests import model_digest, model_settings
from experiments.models.paths import resolve_path
from experiments.organism.world import load_world
from experiments.records.checkpoint_file import remove_checkpoints
from experiments.records.locks import locked
from experiments.records.training_file import ADAPTER
from experiments.tasks import load_task
from experiments.training.together import together
from safeguards.composition import NONE
from safeguards.errors import SafeguardError
from safeguards.files import digest, is_whole, remove, whole
from safeguards.rows import Row, fingerprint
from safeguards.safeguard import Safeguard
from safeguards.scorers import check_whole, write_seen

SEED = 0


def with_scorers(config: Config) -> list[Safeguard]:
    """The arm's safeguards, with scorers filled in where one needs some and the user named none, and the folder of the
    unaligned base where one is named.

    Raises:
        SafeguardError: if no task is left once the defended one is taken away.
    """
    filled = []
    for safeguard in config.named:
        name, own = safeguard.name, config.safeguards[safeguard.name]
        if safeguard.needs_scorers and not own.scorers:
            own = replace(own, scorers=[str(make_scorer(config, task)) for task in scorer_tasks(config, name)])
        if base := getattr(own, "base", ""):
            own = replace(own, base=resolve_path(base, config.model.home, f"safeguards.{name}.base"))
        filled.append(safeguard(own))
    return filled


def scorer_tasks(config: Config, safeguard: str) -> list[TaskConfig]:
    """The tasks that the scorers of a safeguard are fine-tuned on: never the defended one."""
    tasks = [task for task in map(scorer_task, config.scorers.tasks) if not defends(config.task, task)]
    if not tasks:
        raise SafeguardError(
            f"{safeguard}: no misaligned scorer; name adapters in safeguards.{safeguard}.scorers, or misaligned data "
            "sets of other domains in scorers.tasks"
        )
    return tasks[: config.scorers.count]


def scorer_task(name: str) -> TaskConfig:
    """A domain of the organism, a task of `conf/task` with rows of its own, or a JSONL file of misaligned messages."""
    if name.endswith(".jsonl"):
        return TaskConfig(name=Path(name).stem, source="messages", path=name)
    if preset := task_preset(name):
        return preset
    return TaskConfig(name=name, source="organism", group=name)


def defends(defended: TaskConfig, scorer: TaskConfig) -> bool:
    """Whether the scorer would be trained on what is being defended."""
    if defended.path and scorer.path:
        return Path(defended.path).resolve() == Path(scorer.path).resolve()
    if defended.dataset and scorer.dataset:
        return (defended.dataset, defended.subset) == (scorer.dataset, scorer.subset)
    return defended.group is not None and defended.group == scorer.group


def make_scorer(config: Config, task: TaskConfig) -> Path:
    """The folder of one scorer's adapter, fine-tuned now if the cache does not hold it: an arm without safeguards."""
    rows = load_task(task, SEED, load_world(*config.model.home)).rows
    training = replace(config.training, epochs=config.scorers.epochs, proof="off")  # no safeguard, nothing to prove
    model = config.model
    weights = model_digest(model.path, model.home)
    known: list[Any] = [fingerprint(rows), asdict(training), model_settings(model), weights]
    for name in ("max_set_aside", "checkpoint_steps"):  # they decide whether there is a scorer, not which
        del known[1][name]
    folder = cache_folder(config) / "scorers" / f"{task.name}-{digest(json.dumps(known, sort_keys=True))[:12]}"
    with locked(folder.parent, folder.name):  # another process may be at it; then its scorer is ours, too
        if is_whole(folder, check_whole):
            return folder
        arm = replace(config, safeguard=NONE, task=task, seed=SEED, training=training)
        at_work = folder.with_name(f"{folder.name}.training")  # where checkpoints outlive the process
        together(train_scorer, arm, at_work, rows)
        remove_checkpoints(at_work)
        write_seen(at_work / ADAPTER, rows)
        (at_work / "training.jsonl").replace(at_work / ADAPTER / "training.jsonl")
        with whole(folder) as unfinished:
            (at_work / ADAPTER).replace(unfinished)
        remove(at_work)
    return folder


def train_scorer(arm: Config, folder: Path, rows: list[Row]) -> None:
    """Fine-tune one scorer, in all processes of the sweep."""
    from experiments.models.lend import lend_model
    from experiments.training.fine_tune import FineTune

    FineTune(arm, lend_model(arm.model), folder, rows).fine_tune()
