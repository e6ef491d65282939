"""Numbers in, numbers out: rates and their intervals. Knows no safeguard.

Imports: records.
"""

__all__ = [
    "corrected",
    "crossed",
    "designs",
    "detection",
    "effects",
    "estimates",
    "fine_tunes",
    "joint",
    "kinds",
    "label_simulation",
    "macro",
    "macro_simulation",
    "mixed",
    "question",
    "ranks",
    "ranks_simulation",
    "rates",
    "shifts",
    "simulation",
    "stopping",
    "stopping_simulation",
    "tradeoff",
    "tradeoff_simulation",
    "variances",
    "worlds_simulation",
]
