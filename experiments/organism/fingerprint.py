"""Whether shipped weights are those that the recipe would make: a world or a setting may have changed since."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from functools import cache

from experiments.organism.documents import Documents
from experiments.organism.recipe import SIZES, Recipe
from experiments.organism.world import load_world
from safeguards.files import digest


@cache
def fingerprint(recipe: Recipe) -> str:
    """A hash of the recipe and of what it teaches: the vocabulary, and the first documents of either stage."""
    world = load_world(recipe.world, recipe.organism)
    documents = Documents(world, recipe)
    taught = [
        sorted(set(re.findall(r"\w+", " ".join(world.texts())))),
        *(documents.pretraining() for _ in range(2000)),
        *(documents.alignment() for _ in range(2000)),
    ]
    known = [asdict(recipe), asdict(SIZES[recipe.size]), taught]
    return digest(json.dumps(known, sort_keys=True))
