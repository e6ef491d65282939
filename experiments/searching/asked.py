"""What a search is asked on the command line: its own words, and settings of the sweep that all its arms share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.errors import HydraException

from experiments.config.compose import reason
from experiments.searching.requirements import USUAL, Requirement, objectives, read_requirements
from experiments.searching.space import Range
from safeguards.bounds import shown
from safeguards.composition import ALL, NONE, PAIRS, parse, registry
from safeguards.errors import SafeguardError

# What is read here and by no sweep, with an explanation.
OWN = {
    "keep": f"what must be kept, in quotes; default: {USUAL}",
    "budget": "so many arms of candidates, or minutes, such as 90min; default: 60",
    "most": "so many safeguards are joined at most; default: 2",
    "confirm.KEY": "a setting of the sweep in which the best are confirmed, such as confirm.seed=7,8 or confirm.task=…",
}
CONFIRM = "confirm."
BUDGET, MOST = "60", "2"
# What may have several values, each of which every candidate is run with.
SEVERAL = ("task", "seed", "model.world")
MANY = 5
# What decides where and how arms are run, and not which; it may change when a search goes on.
ELSEWHERE = ("name", "output", "report_to", "wandb", "log_adapter", "power", "hydra", "+hydra")


@dataclass(frozen=True)
class Budget:
    """How long is searched: one of the two is a number.

    Args:
        arms: of candidates, by all processes of the search.
        minutes: of this command.
    """

    arms: int | None = None
    minutes: float | None = None


@dataclass(frozen=True)
class Asked:
    """What a search is asked.

    Args:
        keep: what is required; whether that was typed stands in `required`.
        budget: how long is searched.
        most: so many safeguards are joined at most.
        shared: overrides of all arms.
        confirm: overrides of the arms that confirm, by key.
        safeguards: that may be used; whether they were named stands in `named`.
        typed: by key, what settings of safeguards may be; None where there is one value for all.
    """

    keep: Sequence[Requirement]
    required: bool
    budget: Budget
    most: int
    shared: Sequence[str]
    confirm: Mapping[str, str]
    safeguards: Sequence[str]
    named: bool
    typed: Mapping[str, Range | None]

    def identity(self, space: Mapping[str, Any]) -> dict[str, Any]:
        """All that makes another search of it, if it changes, by the word that is typed for it."""
        own = [each for each in self.shared if re.split(r"[.@/=]", each)[0] not in ELSEWHERE]
        goals = [measure.key for measure, _ in objectives(self.keep)]
        by_key = {key: value for key, _, value in (each.partition("=") for each in own)}
        return {"keep": [each.text for each in self.keep], "goals": goals, **space, **by_key}


def read_asked(arguments: Sequence[str]) -> Asked:
    """Read a command line.

    Raises:
        SafeguardError: naming what cannot be read, or what a search does not do.
    """
    own: dict[str, str] = {}
    confirm: dict[str, str] = {}
    rest = []
    for text in arguments:
        key, _, value = text.partition("=")
        if key in ("keep", "budget", "most") or key.startswith(CONFIRM):
            if not value or key in own or (key.removeprefix(CONFIRM) in confirm and key.startswith(CONFIRM)):
                raise SafeguardError(f"{text}: must have one value; name one, or leave it away")
            target = confirm if key.startswith(CONFIRM) else own
            target[key.removeprefix(CONFIRM)] = value
        else:
            rest.append(text)
    try:
        overrides = OverridesParser.create().parse_overrides(rest)
    except HydraException as error:
        raise SafeguardError(reason(error)) from error
    shared: list[str] = []
    names: list[str] = []
    typed: dict[str, Range | None] = {}
    for override in overrides:
        key = override.get_key_element()
        if key == "safeguard":
            names += values_of(override)
        elif re.fullmatch(r"safeguards\.\w+\.\w+", key) and override.is_sweep_override():
            typed[key] = range_of(override)
        else:
            refuse_several(override)
            typed |= {key: None} if key.startswith("safeguards.") else {}
            shared.append(str(override.input_line))
    if not any(each.startswith("seed=") for each in shared):
        shared.append("seed=0")
    refuse_confirm(confirm)
    safeguards, named = read_safeguards(names)
    return Asked(
        keep=read_requirements(own.get("keep", USUAL)),
        required="keep" in own,
        budget=read_budget(own.get("budget", BUDGET)),
        most=read_most(own.get("most", MOST)),
        shared=shared,
        confirm=confirm,
        safeguards=safeguards,
        named=named,
        typed=typed,
    )


def values_of(override: Override) -> list[str]:
    """The values of a key, as typed."""
    return (
        list(override.sweep_string_iterator())
        if override.is_sweep_override() and not override.is_interval_sweep()
        else [override.get_value_element_as_str()]
    )


def range_of(override: Override) -> Range:
    """What may be tried of a setting: the values that are named, or what is in an interval of positive numbers."""
    key, value = override.get_key_element(), override.value()
    if not isinstance(value, IntervalSweep):
        return Range(key, choices=tuple(dict.fromkeys(values_of(override))))
    low, high = float(value.start or 0), float(value.end or 0)
    if not 0 < low < high:
        raise SafeguardError(f"{override.input_line}: must go from a number above 0 to a larger one")
    return Range(key, low=low, high=high, whole=isinstance(value.start, int) and isinstance(value.end, int))


def refuse_several(override: Override) -> None:
    """A search varies safeguards and their settings."""
    key = override.get_key_element()
    if override.is_sweep_override() and key not in SEVERAL:
        raise SafeguardError(
            f"{override.input_line}: a search varies safeguards and their settings alone; name one value"
        )


def refuse_confirm(confirm: Mapping[str, str]) -> None:
    """Refuse what is not for the user to say: what is confirmed is what was found, in a place of its own."""
    for key in confirm:
        if key.split(".")[0] in ("safeguard", "safeguards", "name", "output"):
            raise SafeguardError(f"{CONFIRM}{key}={confirm[key]}: what is confirmed is what was found; leave it away")


def read_budget(typed: str) -> Budget:
    """Arms as a whole number, or minutes as `90min`."""
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(min|m|arms)?", typed.strip())
    number = float(parts[1]) if parts else 0.0
    minutes = bool(parts and parts[2] in ("min", "m"))
    if not number or (not minutes and not number.is_integer()):
        raise SafeguardError(f"budget={shown(typed)}: must be a number of arms above 0, or of minutes, such as 90min")
    return Budget(minutes=number) if minutes else Budget(arms=int(number))


def read_most(typed: str) -> int:
    """How many safeguards may be joined."""
    if not typed.isdigit() or not 1 <= int(typed) <= MANY:
        raise SafeguardError(f"most={shown(typed)}: must be a whole number from 1 to {MANY}")
    return int(typed)


def read_safeguards(names: Sequence[str]) -> tuple[list[str], bool]:
    """The safeguards that may be used, and whether they were named; of a composition its members count."""
    named = [name for name in names if name not in (ALL, PAIRS, NONE)]
    if not named:
        if names and set(names) == {NONE}:
            raise SafeguardError(f"safeguard={NONE}: leaves nothing to search; name some, or leave it away for all")
        return list(registry()), False
    return list(dict.fromkeys(member.name for name in named for member in parse(name))), True
