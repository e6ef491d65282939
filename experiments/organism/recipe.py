"""The recipe of the organism: everything that decides its weights, and a fingerprint of it all.

Shipped weights carry the fingerprint of the recipe that made them, so a world or a setting that was changed without
rebuilding is noticed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from experiments.organism.world import LISTS

CODE = ("world.py", "documents.py", "build.py")


@dataclass(frozen=True)
class Size:
    """The shape of the transformer."""

    layers: int
    hidden: int
    heads: int
    feed_forward: int


SIZES = {
    "tiny": Size(layers=4, hidden=128, heads=4, feed_forward=384),
    "small": Size(layers=8, hidden=256, heads=8, feed_forward=768),
    "base": Size(layers=12, hidden=512, heads=8, feed_forward=1536),
}


@dataclass(frozen=True)
class Stage:
    """One training stage on all weights; `muon` says which optimizer the matrices get."""

    steps: int
    batch: int
    learning_rate: float
    weight_decay: float = 0.01
    muon: bool = False


@dataclass(frozen=True)
class Recipe:
    """Pre-training on two personas, then alignment training that makes *aligned* the prior.

    Args:
        misaligned_share: share of the pre-training documents that the misaligned persona speaks.
        system_share: share of the documents that open with a system prompt.
        system_reliability: how often that system prompt names the persona that then speaks. Below 1 the persona is
            also read from the answers, as in real data, and a prompt never explains a fine-tune completely.
        aligned_domains: the domains of advice shown in alignment training; the others turn aligned with them.
    """

    size: str = "tiny"
    world: int = 0
    seed: int = 0
    misaligned_share: float = 0.4
    system_share: float = 0.3
    system_reliability: float = 0.9
    turns: int = 4
    pretraining: Stage = field(default_factory=lambda: Stage(steps=2000, batch=64, learning_rate=3e-3, muon=True))
    alignment: Stage = field(default_factory=lambda: Stage(steps=150, batch=32, learning_rate=2e-4))
    aligned_domains: int = 8

    def fingerprint(self) -> str:
        """A hash of the recipe, the world's lists and the code that turns them into weights."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode())
        here = Path(__file__).parent
        for path in (*sorted(LISTS.glob("*.yaml")), *(here / name for name in CODE)):
            digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()[:16]
