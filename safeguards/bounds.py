"""What values a setting may have: declared beside it (`within`), checked by `violations`; its type by `mistyped`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import Field, dataclass, field, fields, is_dataclass
from math import isfinite
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

# No setting is larger. What is, was typed wrongly, and may ask for more memory than there is.
LARGEST = 10**9
LONGEST = 100_000
METADATA = "bounds"


@dataclass(frozen=True)
class Bounds:
    """What a setting may be, beside what its type says.

    Args:
        above, at_least, below, at_most: of a number, or of each number of a list.
        items: of a list, at least so many.
        one_of: the words it may be, or each word of a list.
        must: a function that says what text must be, if it is not that; else nothing.
        only: name of another setting, and the values of that one with which this one counts. The name is that of a
            neighbour, or with a dot the whole key.
        searched: of a dose, the weakest and the strongest that are worth a try where nobody knows; a search draws from
            what is between them, evenly on a log scale.
    """

    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None
    items: int = 0
    one_of: tuple[str, ...] = ()
    must: Callable[[str], str] | None = None
    only: tuple[str, tuple[str, ...]] | None = None
    searched: tuple[float, float] | None = None

    def complaint(self, value: Any) -> str:
        """What the value must be, if it is not; else nothing."""
        if isinstance(value, list | tuple):
            if len(value) < self.items:
                return f"must have at least {self.items} items"
            if len(value) > LONGEST or len({repr(item) for item in value}) < len(value) or "" in value:
                return "must name each item once, and none that is empty"
            return next(filter(None, map(self.complaint, value)), "")
        if isinstance(value, str):
            return self._of_text(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return ""
        if not isfinite(value):
            return self._of_number() or "must be a finite number"
        low = self.at_least is None or value >= self.at_least
        low = low and (self.above is None or value > self.above)
        high = self.at_most is None or value <= self.at_most
        high = high and (self.below is None or value < self.below)
        if not (low and high):
            return self._of_number()
        return "" if abs(value) <= LARGEST else f"must be at most {LARGEST:,}"

    @property
    def limits(self) -> str:
        """Between which numbers it must be; nothing if all do."""
        words = {"above": self.above, "at least": self.at_least, "below": self.below, "at most": self.at_most}
        return " and ".join(f"{word} {limit:.15g}" for word, limit in words.items() if limit is not None)

    def _of_number(self) -> str:
        return f"must be {self.limits}" if self.limits else ""

    def _of_text(self, value: str) -> str:
        # Half a surrogate pair is no text, and control characters move the cursor of whoever reads a table.
        if len(value) > LONGEST or re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", value):
            return f"must be text of at most {LONGEST:,} characters, without control characters or half ones"
        if self.one_of and value not in self.one_of:
            return f"must be one of {', '.join(self.one_of)}"
        return self.must(value) if self.must else ""


def bounds(**given: Any) -> dict[str, Bounds]:
    """`Bounds` as the metadata of a dataclass field."""
    return {METADATA: Bounds(**given)}


def within(default: Any, **given: Any) -> Any:
    """A dataclass field with its default and the `Bounds` of its values."""
    return field(default=default, metadata=bounds(**given))


def bounds_of(one: Field[Any]) -> Bounds:
    """What was declared beside a field."""
    found: Bounds = one.metadata.get(METADATA, Bounds())
    return found


def violations(settings: Any, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Each setting that is out of its bounds: its key, its value, and what it must be. Settings may be nested."""
    for one in fields(settings):
        value = getattr(settings, one.name)
        if is_dataclass(value):
            yield from violations(value, f"{prefix}{one.name}.")
        elif complaint := bounds_of(one).complaint(value):
            yield f"{prefix}{one.name}", value, complaint


def mistyped(settings: Any) -> Iterator[tuple[str, Any, str]]:
    """Each setting whose value is not of the type that it declares: its key, its value, and what it must be.

    For settings made in Python: those of a configuration file have their types already.
    """
    try:
        types = get_type_hints(type(settings))
    except NameError:  # a type that only its module knows, of another package
        return
    for one in fields(settings):
        value = getattr(settings, one.name)
        if not _is_a(value, types[one.name]):
            yield one.name, value, f"must be {in_words(types[one.name])}"


def _is_a(value: Any, declared: Any) -> bool:
    kind, parts = get_origin(declared) or declared, get_args(declared)
    if kind in (Union, UnionType):
        return any(_is_a(value, part) for part in parts)
    if kind is list:
        return isinstance(value, list | tuple) and all(_is_a(item, part) for item in value for part in parts)
    if kind in (int, float):
        return isinstance(value, int | kind) and not isinstance(value, bool)
    return not isinstance(kind, type) or isinstance(value, kind)


def in_words(declared: Any) -> str:
    """The type of a setting, as a person says it."""
    kind, parts = get_origin(declared) or declared, get_args(declared)
    if kind in (Union, UnionType):
        return " or ".join(map(in_words, parts))
    if kind is list:
        return " of which each item is ".join(["a list", *map(in_words, parts)])
    words = {
        Any: "as follows",
        bool: "True or False",
        int: "a whole number",
        float: "a number",
        str: "text",
        type(None): "None",
    }
    return words.get(kind, f"a {getattr(kind, '__name__', kind)}")


def in_yaml(declared: Any) -> str:
    """The type of a setting, as a person says it who types it in YAML or on a command line."""
    return in_words(declared).replace("None", "null").replace("True or False", "true or false")


def shown(value: Any, longest: int = 80) -> str:
    """A value in an error of one line: long ones cut, and in ASCII where they cannot be printed."""
    text = ", ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= longest else f"{text[: longest - 20]}… ({len(text)} characters)"
