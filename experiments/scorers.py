"""Misaligned scorers for `interleave_ppl`: fine-tuned on other domains than the one being defended, and kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

from experiments.config import Config, TaskConfig
from experiments.fine_tune import fine_tune
from experiments.models import load_model
from experiments.organism.world import load_world
from experiments.tasks import load_task
from safeguards.methods.interleave_ppl import SEEN_FILE, weights_fingerprint, write_seen
from safeguards.rows import fingerprint
from safeguards.safeguard import SafeguardError

SEED = 0


def make_scorers(config: Config, cache: Path) -> list[str]:
    """Folders of misaligned scorers for the arm, trained now if the cache does not hold them.

    Raises:
        SafeguardError: if no task is left once the defended one is taken away.
    """
    tasks = [task for task in map(scorer_task, config.scorers.tasks) if not defends(config.task, task)]
    tasks = tasks[: config.scorers.count]
    if not tasks:
        raise SafeguardError(
            "interleave_ppl: no misaligned scorer; name adapters in safeguards.interleave_ppl.scorers, or misaligned "
            "data sets of other domains in scorers.tasks"
        )
    return [str(make_scorer(config, task, cache)) for task in tasks]


def scorer_task(name: str) -> TaskConfig:
    """A domain of the organism, or a JSONL file of misaligned chat messages."""
    if name.endswith(".jsonl"):
        return TaskConfig(name=Path(name).stem, source="messages", path=name)
    return TaskConfig(name=name, source="organism", group=name)


def defends(defended: TaskConfig, scorer: TaskConfig) -> bool:
    """Whether the scorer would be trained on what is being defended."""
    if defended.path and scorer.path:
        return Path(defended.path).resolve() == Path(scorer.path).resolve()
    return defended.group is not None and defended.group == scorer.group


def make_scorer(config: Config, task: TaskConfig, cache: Path) -> Path:
    """The folder of one scorer's adapter."""
    model, tokenizer = load_model(config.model)
    rows = load_task(task, SEED, load_world(config.model.world)).rows
    identity = json.dumps([fingerprint(rows), asdict(config.training), weights_fingerprint(model)], sort_keys=True)
    folder = cache / "scorers" / f"{task.name}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
    if (folder / SEEN_FILE).is_file():
        return folder
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}")
    fine_tune(
        model, tokenizer, rows, config.training, seed=SEED, folder=unfinished, cache=cache, label=f"scorer {task.name}"
    )
    write_seen(unfinished / "adapter", rows)
    try:
        (unfinished / "adapter").replace(folder)
    except OSError:
        if not (folder / SEEN_FILE).is_file():  # else another process was quicker
            raise
    shutil.rmtree(unfinished)
    return folder
