"""From the rate after these fine-tunes to that after all of which they are draws: what seeds add to `mixed`.

Fine-tunes of one arm differ by a standard deviation τ on the logit of the rate. Two arms with the same seeds saw the
same rows in the same order, so what a seed does to one it mostly does to the other: they share u, but for a part of
standard deviation δ between the two. Priors: half-normal ones on τ and δ (scale 0.6), which few seeds hardly outweigh.
"""

from __future__ import annotations

import numpy as np
from scipy import special, stats

# Standard deviations on the logit, and the logs of how probable each is.
SPREADS = np.array([0.05, 0.15, 0.3, 0.45, 0.6, 0.8, 1.0, 1.4])
PRIOR = stats.halfnorm.logpdf(SPREADS, scale=0.6) + np.log(np.gradient(SPREADS))
# Standard normal draws, and how probable each is.
U = np.linspace(-2.8, 2.8, 15)
WEIGHTS = stats.norm.pdf(U) / stats.norm.pdf(U).sum()


def between_seeds(by_seed: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """(to, from): how the logit of a rate moves from that after these fine-tunes to that after all.

    One fine-tune says nothing of others, so that its rate is left as it is.

    Args:
        by_seed: (2, seeds): hits and answers.
        logits: evenly spaced.
    """
    seeds = by_seed.shape[1]
    if seeds == 1:
        return np.eye(len(logits))
    logs = np.log(_chances(by_seed, SPREADS, np.zeros(1)) @ WEIGHTS).sum((1, 2)) + PRIOR
    kernel: np.ndarray = np.tensordot(_normalised(logs), _blurs(logits, SPREADS / np.sqrt(seeds)), 1)
    return kernel


def between_shared_seeds(
    by_seed: np.ndarray, by_seed_2: np.ndarray, logits: np.ndarray, logits_2: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """(logits, logits_2): the same for two arms with the same seeds, from the weights after these fine-tunes."""
    seeds = by_seed.shape[1]
    if seeds == 1:
        return weights
    own = SPREADS / np.sqrt(2)
    chances, chances_2 = (_chances(each, SPREADS, own) for each in (by_seed, by_seed_2))
    logs = np.log((chances * chances_2) @ WEIGHTS).sum(2) + PRIOR[:, None] + PRIOR  # (τ, δ)
    parts = _normalised(logs)
    blurs, blurs_2 = (_blurs(each, own / np.sqrt(seeds)) for each in (logits, logits_2))
    apart = blurs @ weights @ blurs_2.transpose(0, 2, 1)
    found = np.zeros_like(weights)
    for tau, part in zip(SPREADS, parts, strict=True):
        moves = U * tau / np.sqrt(seeds)
        moved, moved_2 = (_moves(each, moves) for each in (logits, logits_2))
        spread = moved @ np.tensordot(part, apart, 1) @ moved_2.transpose(0, 2, 1)
        found += np.tensordot(WEIGHTS, spread, 1)
    return found


def _chances(by_seed: np.ndarray, shared: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(shared, own, seeds, U): how probable the hits of each seed are, up to a factor, if seeds spread so much.

    The middle is the rate of all seeds together. Answers count as if they were independent: given the questions, which
    all seeds share, they are nearly so.
    """
    hits, answers = by_seed
    middle = special.logit((hits.sum() + 0.5) / (answers.sum() + 1))
    # (shared, own, seeds, U shared, U own)
    logits = middle + np.multiply.outer(shared, U)[:, None, None, :, None] + np.multiply.outer(own, U)[:, None, None]
    logs = hits[:, None, None] * special.log_expit(logits)
    logs += (answers - hits)[:, None, None] * special.log_expit(-logits)
    likeliest = logs.max((0, 1, 3, 4), keepdims=True)
    return np.asarray(np.maximum(np.exp(logs - likeliest) @ WEIGHTS, 1e-300))


def _normalised(logs: np.ndarray) -> np.ndarray:
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


def _blurs(logits: np.ndarray, spreads: np.ndarray) -> np.ndarray:
    """(spreads, to, from)."""
    step = logits[1] - logits[0]
    kernels = np.exp(-0.5 * ((logits[:, None] - logits) / np.maximum(spreads, step / 3)[:, None, None]) ** 2)
    return np.asarray(kernels / kernels.sum(1, keepdims=True))


def _moves(logits: np.ndarray, by: np.ndarray) -> np.ndarray:
    """(by, to, from): each logit moved, shared between the two nearest."""
    moved = np.clip(logits + by[:, None], logits[0], logits[-1])
    near = 1 - np.abs(logits[:, None] - moved[:, None, :]) / (logits[1] - logits[0])
    return np.asarray(np.maximum(near, 0.0))
