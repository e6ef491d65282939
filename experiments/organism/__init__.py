"""The embedded default model: a tiny transformer in which emergent misalignment really happens.

Imports: reading, records, terminal.
"""

from pathlib import Path

__all__ = ["RECIPE", "SHIPPED", "WEIGHTS", "build", "built", "fingerprint", "is_organism", "recipe", "world"]

WEIGHTS = Path(__file__).with_name("two") / "weights"
# The organisms that come along, by the name that `model.path` has for them, each in world 0.
SHIPPED = {"organism": WEIGHTS, "organism_one": Path(__file__).with_name("weights")}
# Beside weights of an organism: what they were made of.
RECIPE = "recipe.json"


def is_organism(path: str) -> bool:
    """Whether a model path names a shipped organism, or one that was built here."""
    return path in SHIPPED or (Path(path).expanduser() / RECIPE).is_file()
