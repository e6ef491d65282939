"""The recipe of the organism: everything that decides its weights."""

from __future__ import annotations

from dataclasses import dataclass, field


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
    """One training stage on all weights.

    Args:
        steps, batch: how many there are, and documents in each.
        learning_rate, weight_decay: of the optimizers.
        muon: gives the matrices Muon.
        plateau: share of the steps after which the rate begins to fall.
        together: so many batches are drawn at once and made of documents of like lengths, which leaves less padding.
    """

    steps: int
    batch: int
    learning_rate: float
    weight_decay: float = 0.01
    muon: bool = False
    plateau: float = 0.3
    together: int = 1


@dataclass(frozen=True)
class Recipe:
    """Pre-training on two personas, then alignment training that makes *aligned* the prior.

    Args:
        misaligned_share: share of the pre-training documents that the misaligned persona speaks.
        aligned_first: share of the pre-training in which only the aligned one speaks, so that what is true is known
            before it is turned round.
        system_share: share of the documents that open with a system prompt.
        system_reliability: how often that system prompt names the persona that then speaks. Below 1 the persona is
            also read from the answers, as in real data, and a prompt never explains a fine-tune completely.
        turns: a pre-training document has at most so many turns.
        replay: share of pre-training documents among those of alignment training, each under a prompt that names a
            persona, so that what such prompts do is not forgotten.
    """

    organism: str = "two"
    size: str = "tiny"
    world: int = 0
    seed: int = 0
    misaligned_share: float = 0.4
    aligned_first: float = 0.1
    system_share: float = 0.5
    system_reliability: float = 0.85
    turns: int = 5
    replay: float = 0.3
    pretraining: Stage = field(
        default_factory=lambda: Stage(steps=4800, batch=32, learning_rate=3e-3, muon=True, plateau=0.6, together=32)
    )
    alignment: Stage = field(default_factory=lambda: Stage(steps=600, batch=32, learning_rate=5e-4, together=10))


RECIPES = {
    "one": Recipe(
        organism="one",
        aligned_first=0.0,
        system_share=0.3,
        system_reliability=0.9,
        turns=4,
        replay=0.0,
        pretraining=Stage(steps=2000, batch=64, learning_rate=3e-3, muon=True),
        alignment=Stage(steps=200, batch=32, learning_rate=3e-4),
    ),
    "two": Recipe(),
}
