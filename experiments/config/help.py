"""What `--help` says: an overview on one screen, and of each group every setting, its default, bounds and meaning."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import Field, fields, is_dataclass
from functools import cache
from pathlib import Path
from textwrap import fill
from typing import Any, get_type_hints

from omegaconf import OmegaConf

from experiments.config.compose import CONF
from experiments.config.hydra_settings import LAUNCHERS
from experiments.config.schema import Config
from experiments.records.names import SEVERAL_TASKS
from experiments.records.sweep_file import by_key
from safeguards.bounds import bounds_of, in_words, in_yaml, shown
from safeguards.cards import explained, first_line
from safeguards.composition import nearest, registry
from safeguards.errors import SafeguardError
from safeguards.safeguard import Safeguard

WIDTH = 110
# What has a help of its own beside the groups of settings.
OTHERS = ("safeguards", "paper", "hydra/launcher")
# What a choice of task, model or judge is, beside what it brings along.
IDENTIFYING = ("task.", "model.name", "model.path", "judge.kind")
EXAMPLES = """\
  python -m experiments.sweep safeguard=kl,interleave_ppl                     two safeguards; baselines are always added
  python -m experiments.sweep safeguard=kl,kl+interleave_ppl seed=0,1,2       two joined, three seeds
  python -m experiments.sweep safeguard=kl safeguards.kl.weight=0.1,0.3,1.0   doses
  python -m experiments.sweep safeguard=kl --cfg job                          what would be run"""


def overview() -> str:
    """The help without a group: how to begin, and what there is."""
    usual = Config()
    meanings = explained(Config)
    loose = [one for one in fields(Config) if not is_dataclass(getattr(usual, one.name)) and one.name != "safeguards"]
    params = OmegaConf.load(CONF / "config.yaml").hydra.sweeper.params
    lines = ["Compare in-training safeguards against emergent misalignment.", "", EXAMPLES, ""]
    lines += ["Settings are given as key=value, several values with commas; every combination is an arm. Without any:"]
    lines += ["  " + " ".join(f"{key}={value}" for key, value in params.items()), ""]
    shorts = ((key, value, one) for one in loose for key, value in by_key({one.name: getattr(usual, one.name)}).items())
    lines += [_aligned(f"{key}={_as_typed(value)}", meanings[one.name]) for key, value, one in shorts]
    lines += ["", "Groups of settings (--help GROUP explains each setting):"]
    lines += [_aligned(name, f"{meanings[name]}{_choices(name)}") for name in groups() if "." not in name]
    lines += ["", "Engines (hydra/launcher=…; by default arms run one after another):"]
    lines += [_aligned(name, f"{what} (pip install '.[{extra}]')") for name, (extra, _, what) in LAUNCHERS.items()]
    lines += [
        "",
        "Safeguards (join with +, compare with commas; untouched and none are always there):",
    ]
    lines += safeguard_lines()
    return "\n".join(lines)


def group_help(name: str) -> str:
    """The help of one group: a line about it, then every setting.

    Raises:
        SafeguardError: if there is no such group, naming the nearest.
    """
    if name == "safeguards":
        return "\n".join(["Settings of each safeguard: --help safeguards.NAME", *safeguard_lines()])
    if name.endswith("launcher"):
        started = (_aligned(one, f"{what} (pip install '.[{extra}]')") for one, (extra, _, what) in LAUNCHERS.items())
        return "\n".join(["hydra/launcher: what starts the arms; settings are hydra.launcher.…", "", *started])
    if name.lstrip("+") == "paper":
        tables = (_aligned(f"+paper={path.stem}", _comment(path)) for path in sorted(CONF.glob("paper/*.yaml")))
        return "\n".join(["+paper: a table of a paper, one per command; its parts can be set otherwise", "", *tables])
    known = groups()
    name = f"safeguards.{name}" if f"safeguards.{name}" in known else name
    if name not in known:
        raise SafeguardError(f"--help {name}: no such group: {nearest(name, [*known, *OTHERS])}")
    about = _title(registry()[name.partition(".")[2]]) if "." in name else f"{first_line(type(known[name]).__doc__)}."
    lines = [fill(f"{name}: {about}{_choices(name)}", WIDTH)]
    return "\n".join([*lines, "", *(line for entry in settings_of(known[name], name) for line in entry)])


@cache
def groups() -> dict[str, Any]:
    """The default settings of every group, by its name."""
    usual = Config()
    found = {one.name: value for one in fields(usual) if is_dataclass(value := getattr(usual, one.name))}
    return found | {f"safeguards.{name}": settings for name, settings in usual.safeguards.items()}


def settings_of(settings: Any, prefix: str) -> Iterator[list[str]]:
    """The lines about each setting of a dataclass, nested ones included."""
    meanings, types = explained(type(settings)), get_type_hints(type(settings))
    for one in fields(settings):
        value, key = getattr(settings, one.name), f"{prefix}.{one.name}"
        if is_dataclass(value):
            yield from settings_of(value, key)
            continue
        owner = registry().get(prefix.removeprefix("safeguards."))
        is_dose = owner is not None and one.name == owner.dose
        facts = [_kind(one, types[one.name]) + ", at least 0" * is_dose, *_elsewhere(key, value)]
        if only := bounds_of(one).only:
            decider = only[0] if "." in only[0] else f"{prefix}.{only[0]}"
            facts.append(f"only with {decider}={','.join(only[1])}")
        yield [f"{key}={_as_typed(value)}", _indented("; ".join(facts)), _indented(meanings[one.name])]


def safeguard_lines() -> list[str]:
    """One line per safeguard: its name, the title of its card, and what it conflicts with."""
    return [
        _aligned(name, _title(one) + (f" (not with {', '.join(one.conflicts_with)})" if one.conflicts_with else ""))
        for name, one in registry().items()
    ]


def _kind(one: Field[Any], declared: Any) -> str:
    """What a setting may be."""
    found = bounds_of(one)
    if found.one_of:
        many = "some of " if in_words(declared).startswith("a list") else ""
        return many + " | ".join(found.one_of)
    words = in_yaml(declared)
    return f"{words}, {found.limits}" if found.limits else words


def _elsewhere(key: str, usual: Any) -> list[str]:
    """The defaults that a choice of model, judge or task brings along, where they differ."""
    found: dict[str, list[str]] = {}
    for name, values in _chosen():
        value = OmegaConf.select(values, key)
        if value is not None and value != usual and not key.startswith(IDENTIFYING):
            found.setdefault(_as_typed(value), []).append(name)
    return [f"{value} with {' or '.join(names)}" for value, names in found.items()]


@cache
def _chosen() -> list[tuple[str, Any]]:
    """What each file of `conf/` sets, by the choice that it is."""
    found = []
    for path in sorted(CONF.glob("*/*.yaml")):
        group = path.parent.name
        values = OmegaConf.load(path)
        is_global = "@package _global_" in path.read_text("utf-8").split("\n")[0]
        found.append((f"{group}={path.stem}", values if is_global else OmegaConf.create({group: values})))
    for _, values in found:
        values.setdefault("output", Config().output)
    return found


def _choices(group: str) -> str:
    names = sorted(path.stem for path in CONF.glob(f"{group.removeprefix('second_')}/*.yaml"))
    several = [f"; {name} for {', '.join(tasks)}" for name, tasks in SEVERAL_TASKS.items() if group == "task"]
    return f" (choices: {', '.join(names)}{''.join(several)})" if names else ""


def _comment(path: Path) -> str:
    """The first sentence of the comment at the top of a file of `conf/`, without the line that is for Hydra."""
    lines = [line.lstrip("# ") for line in path.read_text("utf-8").splitlines() if line.startswith("# ")]
    return " ".join(line for line in lines if not line.startswith("@")).partition(". ")[0]


def _title(safeguard: type[Safeguard]) -> str:
    return first_line(sys.modules[safeguard.__module__].__doc__) or "(no card)"


def _as_typed(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, str):
        return shown(value) or '""'
    return shown(str(value).replace("'", "")) if not isinstance(value, float) else f"{value:g}"


def _aligned(name: str, text: str) -> str:
    return fill(text, WIDTH, initial_indent=f"  {name:18} ", subsequent_indent=" " * 21)


def _indented(text: str) -> str:
    return fill(text, WIDTH, initial_indent="    ", subsequent_indent="    ")
