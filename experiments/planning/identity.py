"""Which arm is which: a name and a hash of all that decides its result, and nothing else."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.config.compose import task_preset
from experiments.config.folders import output_folder
from experiments.config.generation import HF
from experiments.config.measurement import COSTS, READING
from experiments.config.schema import Config, TaskConfig
from experiments.models.digests import file_digest, model_digest, model_settings
from experiments.organism.built import SHIPPED_WORLD
from experiments.probes.choice import files_of
from experiments.records.arm_files import ARMS
from experiments.records.names import DRAWN, EM_TASK, UNTOUCHED
from experiments.tasks.advice import advice_files
from experiments.training.look_steps import count_looks
from experiments.training.scorers import scorer_task
from safeguards.composition import NONE
from safeguards.files import digest
from safeguards.safeguard import Safeguard

# Who is told of an arm.
TRACKED = ("report_to", "wandb", "log_adapter")
# Settings of a data set of the hub.
HUB = ("subset", "revision", "question", "answer", "keep")


def identity_fields(config: Config) -> dict[str, Any]:
    """The part of the configuration that decides the arm's answers; judges can be added and replaced afterwards.

    Settings of safeguards that are not named do not belong to it, so arms that differ only there are one arm.
    """
    whole = asdict(config)
    unread = ("name", "output", "baseline", "judge", "second_judge", "primary", "margins", "power", "give_up")
    for irrelevant in (*unread, *TRACKED):
        del whole[irrelevant]
    for name in ("max_set_aside", "checkpoint_steps"):  # they decide whether there is a result, not which
        del whole["training"][name]
    drop_unset(whole)
    whole["model"] = model_settings(config.model)
    if config.generator.kind == HF:
        del whole["generator"]
    else:  # how it is asked does not decide what it says
        whole["generator"] = {name: whole["generator"][name] for name in ("kind", "model")}
    trained = config.safeguard != UNTOUCHED
    named = config.named
    whole["safeguard"] = "+".join(safeguard.name for safeguard in named) or (NONE if trained else UNTOUCHED)
    whole["safeguards"] = {safeguard.name: whole["safeguards"][safeguard.name] for safeguard in named}
    for key in DRAWN:  # which rows are drawn from the pool, where any are
        if not (whole["pool"][key] and any(safeguard.needs_pool for safeguard in named)):
            del whole["pool"][key]
    if not any(safeguard.needs_scorers for safeguard in named):
        del whole["scorers"]
    if not (trained and whole["anchor"]["metric"] != "none"):
        del whole["anchor"]
    elif config.anchor.metric == "task_rate" and config.task.kind == EM_TASK:  # then a judge stops the training
        judge = asdict(config.judge)
        whole["anchor"]["judge"] = {name: value for name, value in judge.items() if name not in COSTS}
        if config.judge.kind not in READING:  # then no reply is weighed
            del whole["anchor"]["judge"]["least_mass"]
    if looks := count_looks(config):  # an arm that was not looked at cannot be looked at any more
        whole["curve"] = {"looks": looks}
    else:
        del whole["curve"]
    if not (trained and whole["monitor"]["on"]):
        del whole["monitor"]
    del whole["training"]["proof"]  # it decides what is reported, not what is trained
    if not trained:
        del whole["training"]
    return whole


def drop_unset(whole: dict[str, Any]) -> None:
    """Take out what is not set of the settings that say where something is, and what decides nothing."""
    for key in HUB:
        if not whole["task"][key]:
            del whole["task"][key]
    if whole["pool"]["dataset"] is None:
        for key in ("dataset", "split", *HUB):
            del whole["pool"][key]
    if {whole["pool"]["path"], whole["pool"].get("dataset")} != {None} or whole["pool"]["source"] == "organism":
        del whole["pool"]["source"]  # not read, or the usual one
    if whole["probes"]["choices"] is None:
        del whole["probes"]["choices"]
    for group in ("task", "probes"):
        del whole[group]["origin"]


def arm_folder(config: Config) -> Path:
    """Where the arm's results belong. The contents of the files it reads count, not only their names."""
    known, home = identity_fields(config), config.model.home
    read = (config.task.path, config.pool.path, config.probes.path, config.probes.narrow_path)
    known["files"] = [file_digest(path) for path in read]
    if config.probes.choices is not None:
        known["choices"] = [file_digest(str(path)) for path in files_of(config.probes.choices)]
    if advice := advice_files([config.task], config.pool):
        known["advice"] = [file_digest(str(path)) for path in advice]
    known["weights"] = model_digest(config.model.path, home)
    known["bases"] = [model_digest(own["base"], home) for own in known["safeguards"].values() if own.get("base")]
    if "scorers" in known:
        named = [folder for values in known["safeguards"].values() for folder in values.get("scorers", [])]
        known["scorers"]["files"] = [file_digest(path) for path in config.scorers.tasks]
        known["scorers"]["files"] += [model_digest(folder, home) for folder in named]
        if advice := advice_files(map(scorer_task, config.scorers.tasks)):
            known["scorers"]["advice"] = [file_digest(str(path)) for path in advice]
        rows = [row_source(preset) for name in config.scorers.tasks if (preset := task_preset(name))]
        if any(map(any, rows)):
            known["scorers"]["rows"] = rows
    short = digest(json.dumps(known, sort_keys=True))[:10]
    task = config.task.name.replace("/", "_")
    name = f"{known['safeguard']}.{task}.seed{config.seed}.{short}"
    return output_folder(config) / ARMS / name


def row_source(task: TaskConfig) -> list[Any]:
    """Where the rows of a scorer's task come from, and what is there: its name alone does not tell."""
    return [file_digest(task.path), *(getattr(task, key) for key in ("dataset", *HUB))]


def title(config: Config) -> str:
    """An arm in words, the dose of its safeguards included."""
    words = "+".join(_with_dose(safeguard, config) for safeguard in config.named) or config.safeguard
    world = f" · world {config.model.world}" * (config.model.world != SHIPPED_WORLD)
    return f"{words} · {config.task.name} · seed {config.seed} · {config.model.name}{world}"


def _with_dose(safeguard: type[Safeguard], config: Config) -> str:
    dose = getattr(config.safeguards[safeguard.name], safeguard.dose, None)
    return safeguard.name if dose is None else f"{safeguard.name} {dose:g}"
