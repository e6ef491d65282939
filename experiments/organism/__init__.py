"""The embedded default model: a tiny transformer in which emergent misalignment really happens."""

from pathlib import Path

WEIGHTS = Path(__file__).with_name("weights")
