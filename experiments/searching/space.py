"""What a search chooses from: which safeguards are joined, and with which settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import Field, asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from safeguards.bounds import bounds_of
from safeguards.composition import conflicts, in_order, registry
from safeguards.safeguard import Safeguard

if TYPE_CHECKING:
    from optuna import Trial

NOBODY = "-"
# Doses are rounded to so many digits: nobody can tell more apart, and a command line is to be read.
DIGITS = 2


@dataclass(frozen=True)
class Range:
    """What one setting of a safeguard may be.

    Args:
        key: as on a command line.
        usual: what it is by default.
        low, high: what is between them is tried, evenly on a log scale.
        whole: whether it is a whole number.
        choices: as typed, instead of what is between; these only.
    """

    key: str
    usual: Any = None
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    choices: tuple[str, ...] = ()

    def suggest(self, trial: Trial) -> str:
        """A value for a candidate, as it is typed."""
        if self.choices:
            return str(trial.suggest_categorical(self.key, list(self.choices)))
        if self.whole:
            return str(trial.suggest_int(self.key, round(self.low), round(self.high), log=True))
        return rounded(trial.suggest_float(self.key, self.low, self.high, log=True))

    def default(self) -> Any:
        """The parameter with which a candidate has the usual value, or the nearest that may be tried."""
        if self.choices:
            return str(self.usual) if str(self.usual) in self.choices else self.choices[0]
        value = min(max(float(self.usual or 0.0), self.low), self.high)
        return round(value) if self.whole else value


def rounded(value: float) -> str:
    """A number as a person would type it."""
    return f"{float(f'{value:.{DIGITS}g}'):.12g}"


@dataclass(frozen=True)
class Candidate:
    """Safeguards joined by "+", and their settings as overrides; by default, those of the configuration."""

    safeguard: str
    settings: tuple[str, ...] = ()

    @property
    def overrides(self) -> list[str]:
        """As a sweep takes them."""
        return [f"safeguard={self.safeguard}", *self.settings]

    @property
    def members(self) -> list[str]:
        """The names of its safeguards."""
        return self.safeguard.split("+")

    def alone(self, member: str) -> Candidate:
        """One of its safeguards by itself, at the same dose."""
        return Candidate(member, tuple(each for each in self.settings if each.startswith(f"safeguards.{member}.")))

    def dose(self, key: str) -> str | None:
        """The value of a setting, if it is its own."""
        return next((each.partition("=")[2] for each in self.settings if each.startswith(f"{key}=")), None)

    def __str__(self) -> str:
        doses = (each.removeprefix("safeguards.") for each in self.settings)
        return " ".join([self.safeguard, *doses])


@dataclass(frozen=True)
class Space:
    """All candidates.

    Args:
        safeguards: that may be used.
        most: so many may be joined.
        ranges: by safeguard, of its settings.
    """

    safeguards: tuple[str, ...]
    most: int
    ranges: Mapping[str, Sequence[Range]] = field(default_factory=dict)

    def suggest(self, trial: Trial) -> Candidate | None:
        """What the sampler wants tried; None where safeguards cannot act together."""
        names = [trial.suggest_categorical("safeguard", list(self.safeguards))]
        for place in range(2, self.most + 1):
            names.append(trial.suggest_categorical(f"safeguard {place}", [NOBODY, *self.safeguards]))
        chosen = [registry()[name] for name in dict.fromkeys(names) if name != NOBODY]
        if conflicts(chosen):
            return None
        ordered = [one.name for one in in_order(sorted(chosen, key=lambda one: one.name))]
        settings = [f"{each.key}={each.suggest(trial)}" for name in ordered for each in self.ranges.get(name, ())]
        return Candidate("+".join(ordered), tuple(settings))

    def usual(self, name: str) -> dict[str, Any]:
        """The parameters of a safeguard alone, with its settings as they are by default."""
        others = {f"safeguard {place}": NOBODY for place in range(2, self.most + 1)}
        return {"safeguard": name, **others, **{each.key: each.default() for each in self.ranges.get(name, ())}}

    def as_json(self) -> dict[str, Any]:
        """What makes another search of it, if it changes."""
        ranges = [asdict(each) for name in self.safeguards for each in self.ranges.get(name, ())]
        return {"safeguards": list(self.safeguards), "most": self.most, "settings": ranges}


def ranges_of(safeguard: type[Safeguard], settings: Any, typed: Mapping[str, Range | None]) -> list[Range]:
    """What may be tried of a safeguard's settings.

    Args:
        safeguard: which.
        settings: as they are configured.
        typed: by key, what is to be tried instead of what its author thought worth it; None where nothing is.
    """
    found = []
    for one in fields(safeguard.Settings):
        key, usual = f"safeguards.{safeguard.name}.{one.name}", getattr(settings, one.name)
        if own := typed.get(key):
            found.append(replace(own, usual=usual))
        elif key not in typed and (searched := bounds_of(one).searched) and usual and is_read(one, settings):
            low, high = min(searched[0], usual), max(searched[1], usual)
            found.append(Range(key, usual, low, high, isinstance(usual, int)))
    return found


def is_read(one: Field[Any], settings: Any) -> bool:
    """Whether a setting counts, beside what its neighbours are."""
    only = bounds_of(one).only
    return only is None or str(getattr(settings, only[0])) in only[1]
