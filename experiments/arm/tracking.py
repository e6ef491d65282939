"""The arm in wandb. Our own records remain the source of truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.config.schema import Config

if TYPE_CHECKING:
    import pandas as pd


Log = Callable[[dict[str, float]], None]


def outcome_shares(table: pd.DataFrame) -> dict[str, float]:
    """Per probe set and outcome, its share of all answers."""
    totals = Counter(table["set"])
    counts = Counter(zip(table["set"], table["outcome"], strict=True))
    return {f"{probes}/{outcome}": count / totals[probes] for (probes, outcome), count in counts.items()}


@contextmanager
def wandb_run(config: Config, folder: Path) -> Iterator[Log]:
    """A wandb run for the arm; yields how to log the last numbers. Our own records remain the source of truth."""
    if config.wandb == "disabled":
        yield lambda numbers: None
        return
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    run = wandb.init(
        project="safeguards",
        group=config.name,
        name=f"{config.safeguard} {config.task.name} seed {config.seed}",
        config=asdict(config),
        dir=folder,
        mode=config.wandb,  # type: ignore[arg-type]
        settings=wandb.Settings(console="off", silent=True),
    )
    try:
        yield lambda numbers: run.log(dict(numbers))
    except BaseException:
        run.finish(exit_code=1)
        raise
    run.finish()
