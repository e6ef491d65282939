"""Numbers in, numbers out: rates and their intervals. Knows no safeguard.

Imports: records.
"""

__all__ = ["crossed", "estimates", "joint", "mixed", "rates", "simulation", "tradeoff", "tradeoff_simulation"]
