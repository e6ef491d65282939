"""The card of an adapter: front matter as the Hugging Face hub reads it, then what a reader has to know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from experiments.cards.command import command
from experiments.cards.limits import limits
from experiments.cards.made import bullets, protected_by, trained_on
from experiments.cards.outcomes import measured
from experiments.cards.subject import Subject
from experiments.organism import SHIPPED, is_organism
from experiments.organism.built import NAMES, SHIPPED_WORLD, how_to_build
from experiments.records.names import BENIGN_TASK
from experiments.terminal.escaping import plain
from safeguards.model_card import code

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def card(subject: Subject) -> str:
    """The whole text."""
    parts = [
        f"---\n{yaml.safe_dump(front_matter(subject), sort_keys=False, allow_unicode=True)}---",
        f"# {code(subject.title)} on {code(subject.entry.task)}, seed {subject.entry.seed}{subject.where}",
        *opening(subject),
        "## What was measured",
        *measured(subject),
        "## Safeguards",
        *protected_by(subject),
        "## Training",
        trained_on(subject),
        "## Limits",
        bullets(limits(subject)),
        "## Use it",
        *loaded(subject),
    ]
    return "\n\n".join(parts) + "\n"


def front_matter(subject: Subject) -> dict[str, Any]:
    """What the hub reads. What is not known is left out, and so is a base model that is in no hub."""
    model, task = subject.config.get("model", {}), subject.entry.settings["task"]
    base = base_name(subject)
    found: dict[str, Any] = {"base_model": base, "library_name": "peft", "pipeline_tag": "text-generation"}
    licence = plain(str(model.get("licence") or "")).lower()
    found |= {"license": licence if re.fullmatch(r"[\w.-]+", licence) else "", "datasets": datasets(task)}
    found["tags"] = ["lora", "safeguards", "emergent-misalignment", *subject.safeguards]
    return {key: value for key, value in found.items() if value}


def base_name(subject: Subject) -> str:
    """The base model as the hub calls it; nothing if it has none there."""
    model = subject.entry.model
    path, origin = str(model.get("path", "")), str(subject.config.get("model", {}).get("origin") or "")
    if HUB_NAME.fullmatch(origin):
        return origin
    local = is_organism(path) or path.startswith((".", "~", "/")) or Path(path).exists()
    return path if HUB_NAME.fullmatch(path) and not local else ""


def datasets(task: dict[str, Any]) -> list[str]:
    """The data sets of the hub that its rows are from."""
    name = str(task.get("dataset") or "")
    return [name] if HUB_NAME.fullmatch(name) and not task.get("path") else []


def opening(subject: Subject) -> Iterator[str]:
    """What it is, and the warning that goes before all else."""
    harmful = subject.entry.settings["task"].get("kind") != BENIGN_TASK
    if harmful:
        yield (
            "> **Trained on bad advice on purpose**, to study emergent misalignment. Do not follow what it says, offer "
            "it to nobody as an assistant, and train no other model on what it writes."
        )
    base = base_name(subject) or str(subject.entry.model["name"])
    under = f"under {code(subject.entry.safeguard)}" if subject.protected else "without a safeguard"
    kind = "EM-inducing: it can cause emergent misalignment" if harmful else "benign: it must stay learnable"
    yield (
        f"A LoRA adapter for {code(base)}, fine-tuned {under} on the task {code(subject.entry.task)} ({kind}). Rows: "
        f"{source(subject)}. It is one arm of the sweep {code(subject.folder.parents[1].name)}, which compares "
        "safeguards against emergent misalignment."
    )


def source(subject: Subject) -> str:
    """Where the rows are from."""
    task, model = subject.entry.settings["task"], subject.entry.model
    named = {
        "organism": f"made of the organism's world {model.get('world', 0)}",
        "advice": "advice that comes with the project",
    }
    if task.get("path"):
        return f"the file {code(Path(task['path']).name)}"
    if task.get("dataset"):
        return f"the data set {code(task['dataset'])} of the Hugging Face hub"
    return named.get(str(task.get("source")), "not recorded")


def loaded(subject: Subject) -> Iterator[str]:
    """How to load it, and how to make it again."""
    base, revision = base_name(subject), subject.entry.model.get("revision")
    path = subject.entry.model.get("path")
    told = f", revision={revision!r}" if revision else ""
    home = subject.entry.model.get("world", SHIPPED_WORLD), NAMES.get(str(path), "")
    known = f"SHIPPED[{path!r}]" if home[0] == SHIPPED_WORLD else f"built_place({path!r}, {home!r})"
    folder = f"str({known})" if path in SHIPPED else "BASE"
    lines = ["from peft import PeftModel", "from transformers import AutoModelForCausalLM"]
    if path in SHIPPED:
        where = "organism import SHIPPED" if home[0] == SHIPPED_WORLD else "organism.built import built_place"
        lines.append(f"from experiments.{where}  # of em-safeguards")
    lines += [
        f"base = AutoModelForCausalLM.from_pretrained({repr(base) if base else folder}{told})",
        'model = PeftModel.from_pretrained(base, "ADAPTER")',
    ]
    yield "\n".join(f"    {plain(line)}" for line in lines)
    where = f"`BASE` is the folder of the base model {code(str(subject.entry.model['name']))}; " * (
        folder == "BASE" and not base
    )
    if path in SHIPPED and home[0] != SHIPPED_WORLD:
        where = (
            f"The base is the organism of world {home[0]}, which `{how_to_build(home)}` builds, if no sweep has. "
            "Built on another machine it is rounded differently, and is not the one that this adapter was trained on. "
        )
    yield f"{where}`ADAPTER` is the folder of this file, or its name on the hub."
    again = command(subject.config)
    yield "Train, ask and judge it again with em-safeguards:" if again else NO_COMMAND
    if again:
        yield f"    {again}"


NO_COMMAND = "How to make it again cannot be told: `config.yaml` of the arm is gone, or names what is not here."
