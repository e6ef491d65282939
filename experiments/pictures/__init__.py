"""Pictures of a comparison, drawn from the report alone.

Imports: records, report, statistics, terminal.
"""

__all__ = ["draw", "picture"]
