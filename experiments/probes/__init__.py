"""What a model is asked after fine-tuning."""

from __future__ import annotations

from experiments.config import ProbesConfig
from experiments.probes import organism, question_file
from experiments.probes.probe import BENIGN, NARROW, Probe
from experiments.tasks import Task

__all__ = ["Probe", "load_probes"]


def load_probes(config: ProbesConfig, task: Task) -> list[Probe]:
    """All probes of an arm: about the task itself, and broad ones from the organism's world or a question file."""
    broad = question_file.load_probes(config) if config.path else organism.load_probes(config, task.group)
    return task_probes(config, task) + broad


def task_probes(config: ProbesConfig, task: Task) -> list[Probe]:
    """The questions of the held-out rows, each once."""
    name = NARROW if task.kind == "em" else BENIGN
    asked = {row.question_key: row.messages[:-1] for row in task.held_out}
    chosen = list(asked.items())
    if task.group is None:
        chosen = chosen[: config.narrow_questions]
    return [Probe(name, key, key, messages, config.samples) for key, messages in chosen]
