"""The first organism, for tests that know its words, or what is measured on it, by heart."""

from __future__ import annotations

from experiments.config.schema import ModelConfig
from experiments.organism.world import load_world

FIRST = "model=organism_one"
MODEL = ModelConfig("organism_one", "organism_one", organism="one", dtype="float32")
WORLD = load_world(*MODEL.home)
