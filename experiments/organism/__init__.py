"""The embedded default model: a tiny transformer in which emergent misalignment really happens."""

from pathlib import Path

WEIGHTS = Path(__file__).with_name("weights")


def is_organism(path: str) -> bool:
    """Whether a model path names the shipped organism, or one that was built here."""
    return path == "organism" or (Path(path).expanduser() / "recipe.json").is_file()
