"""Numbers in, numbers out: rates and their intervals. Knows no safeguard.

Imports: records.
"""

__all__ = ["corrected", "crossed", "estimates", "label_simulation", "mixed", "rates", "simulation"]
