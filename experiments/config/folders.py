"""Where the results of a sweep belong."""

from __future__ import annotations

from pathlib import Path

from experiments.config.schema import Config
from experiments.config.text_rules import CACHE


def output_folder(config: Config) -> Path:
    """Where the sweep's results belong."""
    return Path(config.output) / config.name


def cache_folder(config: Config) -> Path:
    """Where scorers and scores are kept, for all sweeps."""
    return Path(config.output) / CACHE
