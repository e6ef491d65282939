"""The model card of every adapter that a sweep trains, from records alone.

Imports: config, organism, records, report, statistics, terminal.
"""

__all__ = ["write"]
