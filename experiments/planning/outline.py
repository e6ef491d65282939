"""What a sweep would run, in YAML: its arms, and every setting that counts with the values that it has in them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import yaml
from omegaconf import OmegaConf

from experiments.config.schema import Config
from experiments.config.settle import unread
from experiments.planning.plan import Plan
from experiments.records.sweep_file import by_key
from safeguards.composition import nearest
from safeguards.errors import SafeguardError

LISTED = 24


def outline(plan: Plan, what: str = "job", package: str = "") -> str:
    """The arms of a plan and their settings.

    Args:
        plan: with at least one arm.
        what: "job" for our settings, "hydra" for Hydra's own, "all" for both.
        package: a key, to show only what is below it.

    Raises:
        SafeguardError: if there is no such key.
    """
    lines = [f"# {len(plan.arms)} arms; where they differ, a setting lists all its values"]
    lines += [f"# {arm}" for arm in plan.arms[:LISTED]]
    lines += [f"# … and {len(plan.arms) - LISTED} more"] * (len(plan.arms) > LISTED)
    shown: dict[str, Any] = settings_of(plan) if what in ("job", "all") else {}
    if what in ("hydra", "all"):
        shown["hydra"] = OmegaConf.to_container(plan.values.hydra)
    for name in filter(None, package.split(".")):
        if not isinstance(shown, dict) or name not in shown:
            known = list(shown) if isinstance(shown, dict) else []
            raise SafeguardError(f"--package {package}: there is no {name!r} in it: {nearest(name, known)}")
        shown = shown[name]
    return "\n".join([*lines, yaml.dump(shown, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)])


def settings_of(plan: Plan) -> dict[str, Any]:
    """Every setting under its key, with its value, or a list of all that it has in the arms that read it."""
    values: dict[str, list[Any]] = {}
    for arm in plan.arms:
        for key, value in counting(arm.config).items():
            known = values.setdefault(key, [])
            known += [] if value in known else [value]
    nested: dict[str, Any] = {}
    for key, several in values.items():
        *above, name = key.split(".")
        node = nested
        for group in above:
            node = node.setdefault(group, {})
        node[name] = several[0] if len(several) == 1 else several
    return nested


def counting(config: Config) -> dict[str, Any]:
    """What of the configuration of an arm is read, by whole keys; of safeguards only those that it names."""
    whole = asdict(config)
    whole["safeguards"] = {one.name: whole["safeguards"][one.name] for one in config.named}
    whole["pool"]["mix"] = None
    whole = by_key(whole) | {"pool.mix": config.pool.mix}  # one value: arms have other genres, and some have no mix
    idle = {key for _, _, key, _ in unread(config)}
    return {key: value for key, value in whole.items() if key not in idle}


class _Dumper(yaml.SafeDumper):
    """Writes lists in one line."""


_Dumper.add_representer(list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, True))
