"""wandb without a word on the terminal."""

from __future__ import annotations

from typing import Any


def silent_wandb() -> Any:
    """The package, told to print nothing: neither where it logs to, nor what it would like to be used for."""
    import wandb

    wandb.setup(settings=wandb.Settings(silent=True))
    return wandb
