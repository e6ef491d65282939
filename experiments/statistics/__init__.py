"""Numbers in, numbers out: rates and their intervals. Knows no safeguard.

Imports: records.
"""

__all__ = ["crossed", "detection", "estimates", "kinds", "mixed", "question", "rates", "simulation"]
