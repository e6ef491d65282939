"""The command that runs an arm again: what its configuration sets beyond what its model, task and judge bring along."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

from experiments.config.compose import CONF, compose_config
from experiments.terminal.escaping import plain
from safeguards.composition import NONE
from safeguards.errors import SafeguardError

# What decides nothing of an arm: where it lies, what it is set beside, and what else is done with it.
ELSEWHERE = ("name", "output", "wandb", "baseline", "primary", "margins", "power", "second_judge", "judge.cache")
# Settings that are good as a whole only.
WHOLE = ("pool.mix", "task.keep")
# Groups of which a model may choose another file than the usual one, and what tells which it is.
CHOSEN = {"judge": "kind", "pool": "source", "generator": "kind"}
# Text that Hydra reads as it is, and that is nothing else to it, such as a number or a truth.
BARE = re.compile(r"(?!(?:null|true|false|nan|inf)$)[A-Za-z_][\w./:@%+-]*", re.IGNORECASE | re.ASCII)


def command(config: Mapping[str, Any]) -> str:
    """The line that runs an arm of this resolved configuration again; nothing where it cannot be told."""
    try:
        words = overrides(config)
    except (SafeguardError, KeyError, TypeError, AttributeError):
        return ""
    line = "python -m experiments.sweep " + " ".join(map(shlex.quote, words))
    return line if line == plain(line) else ""


def overrides(config: Mapping[str, Any]) -> list[str]:
    """What is to be set.

    Raises:
        SafeguardError: for a choice of model, task or judge that there is no more.
    """
    chosen = [f"{group}={preset(group, config[group])}" for group in ("model", "task")]
    brought = usual(tuple(chosen))
    for group, key in CHOSEN.items():
        if config[group][key] != brought[group][key] and (name := preset(group, config[group])):
            chosen.append(f"{group}={name}")
    expression = config["safeguard"]
    acting = [] if expression == NONE else expression.split("+")
    found = [f"safeguard={expression}", f"seed={config['seed']}", *chosen]
    for key, value in differing(config, usual(tuple(chosen))):
        of = key.split(".")
        idle = of[0] == "safeguards" and of[1] not in acting
        if not (idle or key in ("safeguard", "seed") or of[0] in ELSEWHERE or key in ELSEWHERE):
            found.append(f"{key}={typed(value)}")
    return found


def preset(group: str, settings: Mapping[str, Any]) -> str:
    """The file of `conf/` that is likely meant: that of its name, its kind or its source; nothing if there is none."""
    named = (settings.get(key) for key in ("name", "kind", "source"))
    known = [name for name in named if isinstance(name, str) and (CONF / group / f"{name}.yaml").is_file()]
    return known[0] if known else {"model": "local", "task": "messages"}.get(group, "")


@cache
def usual(chosen: tuple[str, ...]) -> Mapping[str, Any]:
    """The configuration that these choices bring along."""
    return asdict(compose_config(*chosen))


def differing(own: Mapping[str, Any], other: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The keys whose values are not those of another configuration."""
    for name, value in own.items():
        key, before = f"{above}{name}", other.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping) and before and key not in WHOLE:
            yield from differing(value, before, f"{key}.")
        elif value != before:
            yield key, value


def typed(value: Any) -> str:
    """A value as Hydra reads it on a command line.

    Raises:
        TypeError: for text that Hydra would take for a reference to another value.
    """
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{typed(key)}:{typed(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(typed, value)) + "]"
    if isinstance(value, str):
        if "${" in value:
            raise TypeError(value)
        # A backslash counts as one unless a quote follows, that at the end included.
        quoted = re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + found[2].replace("'", "\\'"), value)
        return value if BARE.fullmatch(value) else f"'{quoted}'"
    return json.dumps(value)
