"""What a sweep would run, in YAML: its arms, and every setting that counts with the values that it has in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import yaml
from omegaconf import OmegaConf

from experiments.config.schema import Config
from experiments.planning.plan import Plan
from experiments.records.names import UNTOUCHED
from safeguards.composition import nearest, parse
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
    lines = [f"# {len(plan.arms)} arms; where they differ, a setting has all its values, with commas"]
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
    return "\n".join([*lines, yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=120)])


def settings_of(plan: Plan) -> dict[str, Any]:
    """Every setting under its key, with its value, or with all that it has in the arms that read it."""
    values: dict[tuple[str, ...], list[Any]] = {}
    for arm in plan.arms:
        for key, value in leaves(counting(arm.config)):
            known = values.setdefault(key, [])
            known += [] if value in known else [value]
    nested: dict[str, Any] = {}
    for key, several in values.items():
        node = nested
        for name in key[:-1]:
            node = node.setdefault(name, {})
        node[key[-1]] = several[0] if len(several) == 1 else ",".join(map(str, several))
    return nested


def counting(config: Config) -> dict[str, Any]:
    """The configuration of an arm, of safeguards only those that it names."""
    named = [] if config.safeguard == UNTOUCHED else [safeguard.name for safeguard in parse(config.safeguard)]
    whole = asdict(config)
    return whole | {"safeguards": {name: whole["safeguards"][name] for name in named}}


def leaves(values: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The settings in nested dictionaries, each with its key."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, (*above, name))
        else:
            yield (*above, name), value
