"""From "kl+interleave_ppl" to safeguards: found by name, checked for conflicts, in the order they declare."""

from __future__ import annotations

import copy
import difflib
import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from safeguards import methods
from safeguards.errors import SafeguardError, one_line
from safeguards.safeguard import Safeguard

NONE, ALL, PAIRS = "none", "all", "pairs"
Kind = TypeVar("Kind", type[Safeguard], Safeguard)


@cache
def registry() -> dict[str, type[Safeguard]]:
    """All safeguards by name: those of other packages (entry-point group `safeguards`), and ours, which come first."""
    found = {name: value for name, value in plug_ins().items() if isinstance(value, type)}
    for module in pkgutil.iter_modules(methods.__path__):
        for value in vars(importlib.import_module(f"{methods.__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Safeguard) and "name" in vars(value):
                found[value.name] = value
    return dict(sorted(found.items()))


@cache
def plug_ins() -> dict[str, type[Safeguard] | str]:
    """What other packages register, by name: a safeguard, or why it cannot be used. Only naming that is an error."""
    found: dict[str, type[Safeguard] | str] = {}
    for entry in entry_points(group="safeguards"):
        try:
            found.setdefault(entry.name, load_plug_in(entry))
        except Exception as error:  # whatever a foreign module may raise when it is imported
            found.setdefault(entry.name, f"entry point {entry.value}: {type(error).__name__}: {one_line(error)}")
    return found


def load_plug_in(entry: EntryPoint) -> type[Safeguard]:
    """The safeguard of an entry point.

    Raises:
        TypeError: if it is none, or has no settings with defaults.
    """
    value = entry.load()
    if not (isinstance(value, type) and issubclass(value, Safeguard) and getattr(value, "name", "") == entry.name):
        raise TypeError(f"must be a Safeguard whose name is {entry.name!r}")
    if not is_dataclass(getattr(value, "Settings", None)):
        raise TypeError("its `Settings` must be a dataclass")
    value.Settings()
    return value


def broken() -> dict[str, str]:
    """Why a safeguard of another package cannot be used, by name."""
    return {name: why for name, why in plug_ins().items() if isinstance(why, str) and name not in registry()}


def nearest(name: str, known: Sequence[str]) -> str:
    """A clause that helps after a typo: the nearest known name, or all of them if they are few."""
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(known)}" if len(known) <= 30 else "see --help for all"


def parse(expression: str) -> list[type[Safeguard]]:
    """The classes named by `expression`, such as "kl+interleave_ppl", in the order in which they act.

    "none" and "" name no safeguard.

    Raises:
        SafeguardError: for an unknown name, a name given twice, or two safeguards that conflict.
    """
    names = [name.strip() for name in expression.split("+")]
    if names in ([NONE], [""]):
        return []
    for name in names:
        if name in (NONE, ""):
            raise SafeguardError(f"{expression!r}: {name or 'nothing'!r} cannot be joined with safeguards by '+'")
        if name in broken():
            raise SafeguardError(
                f"safeguard {name!r} cannot be used: {broken()[name]}; repair or uninstall its package"
            )
        if name not in registry():
            raise SafeguardError(f"unknown safeguard {name!r}: {nearest(name, [NONE, *registry()])}")
    chosen = [registry()[name] for name in names]
    for conflict in conflicts(chosen):
        raise SafeguardError(conflict)
    return in_order(sorted(chosen, key=lambda safeguard: safeguard.name))


def expand(expression: str) -> list[str]:
    """What "all" and "pairs" stand for: every safeguard, and besides every two that do not conflict; else itself.

    A safeguard of another package that cannot be used is named as well, so that its absence is reported.
    """
    if expression not in (ALL, PAIRS):
        return [expression]
    names = list(registry())
    pairs = [f"{one}+{other}" for number, one in enumerate(names) for other in names[number + 1 :]]
    return [*names, *broken()] + [
        pair for pair in pairs if expression == PAIRS and not conflicts([registry()[name] for name in pair.split("+")])
    ]


def conflicts(chosen: Sequence[type[Safeguard] | Safeguard]) -> list[str]:
    """Why some of these safeguards cannot act together."""
    names = [safeguard.name for safeguard in chosen]
    twice = [f"safeguard {name!r} is named twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    return twice + [
        f"{safeguard.name} conflicts with {other}: {reason}"
        for safeguard in chosen
        for other, reason in safeguard.conflicts_with.items()
        if other in names
    ]


def in_order(chosen: Sequence[Kind]) -> list[Kind]:
    """Each after those that it declares in `runs_after`, otherwise as given.

    Raises:
        SafeguardError: if some declare to run after each other.
    """
    given = {safeguard.name: safeguard for safeguard in chosen}
    sorter = TopologicalSorter({name: set(safeguard.runs_after) & set(given) for name, safeguard in given.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        raise SafeguardError(
            f"{' and '.join(sorted(set(error.args[1])))} each declare to run after the other"
        ) from None
    ordered: list[Kind] = []
    ready: set[str] = set()
    while sorter.is_active():
        ready.update(sorter.get_ready())
        first = min(ready, key=list(given).index)
        ready.remove(first)
        sorter.done(first)
        ordered.append(given[first])
    return ordered


def compose(expression: str, settings: Mapping[str, Any] | None = None) -> list[Safeguard]:
    """The safeguards of `expression`, built with their settings.

    Args:
        expression: names joined by "+".
        settings: by safeguard name, an object of its `Settings` or a dict of some of them; defaults where missing.

    Raises:
        SafeguardError: as `parse`, and for an unknown setting or one out of range.
    """
    return [safeguard(as_settings(safeguard, (settings or {}).get(safeguard.name))) for safeguard in parse(expression)]


def as_settings(safeguard: type[Safeguard], given: Any) -> Any:
    """Settings of a safeguard, of a dict of some of them; anything else as it is.

    Raises:
        SafeguardError: for an unknown setting.
    """
    if not isinstance(given, Mapping):
        return given
    known = [field.name for field in fields(safeguard.Settings)]
    for key in given:
        if key not in known:
            raise SafeguardError(f"{safeguard.name}: unknown setting {key!r}: {nearest(key, known)}")
    return safeguard.Settings(**given)


def as_safeguards(given: Any) -> list[Safeguard]:
    """The safeguards that a user hands over, in the order in which they act.

    Args:
        given: an expression such as "kl+interleave_ppl"; a `Safeguard`; a list of safeguards and expressions, which act
            in its order unless they declare another; or settings by name. An object is copied, so that what it prepares
            for one training does not reach the next.

    Raises:
        SafeguardError: naming what is none of these.
    """
    if isinstance(given, str):
        return compose(given)
    if isinstance(given, Mapping):
        for name, settings in given.items():
            if not (isinstance(name, str) and isinstance(settings, Mapping)):
                raise SafeguardError(f"safeguards: {name!r}: {settings!r} is not a name with a dict of its settings")
            if name not in registry() and name not in broken():  # else "kl+ldifs" or " kl" would lose their settings
                raise SafeguardError(
                    f"safeguards: unknown safeguard {name!r}: {nearest(name, list(registry()))} (each key names one)"
                )
        return compose("+".join(given) or NONE, given)
    if isinstance(given, Safeguard):
        given = [given]
    if not isinstance(given, list | tuple):
        raise SafeguardError(f"safeguards: {not_one(given)}")
    chosen: list[Safeguard] = []
    for item in given:
        if isinstance(item, str):
            chosen += compose(item)
        elif isinstance(item, Safeguard) and isinstance(getattr(item, "name", None), str):
            chosen.append(copy.copy(item))
        else:
            raise SafeguardError(f"safeguards: {not_one(item)}")
    for conflict in conflicts(chosen):
        raise SafeguardError(conflict)
    return in_order(chosen)


def not_one(given: Any) -> str:
    """Why something is no safeguard, and what to give instead."""
    if given is None:
        return f'None; say "{NONE}" for no safeguard'
    if isinstance(given, type):
        return f"{given.__name__} is a class; give an object, such as {given.__name__}()"
    if isinstance(given, Safeguard):
        return f"{type(given).__name__} has no `name`; set one on the class"
    return f"a {type(given).__name__} is no safeguard; give names or Safeguard objects, several as a list"
