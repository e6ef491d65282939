"""What is raised where something cannot be done: one line that names the thing, the place and the remedy."""

from __future__ import annotations


class SafeguardError(ValueError):
    """A safeguard was asked for something it cannot do. The message names the thing, the place and the remedy."""


def one_line(error: BaseException) -> str:
    """The message of an error on one line."""
    return " ".join(str(error).split()) or type(error).__name__


class NoEffectError(RuntimeError):
    """A safeguard did nothing although its settings asked for an effect."""
