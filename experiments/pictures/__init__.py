"""Pictures of a comparison, drawn from the report alone.

Imports: no other room.
"""

__all__ = ["picture"]
