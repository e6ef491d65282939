"""A sweep beside published tables: number by number, by the source's criteria, and over its doses.

Imports: records, report, statistics, terminal.
"""

__all__ = ["write"]
