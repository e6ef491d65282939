"""Search for safeguards and doses: candidates are tried as ordinary arms, and the best confirmed on others.

Imports: config, organism, planning, records, report, showing, statistics, terminal.
"""

__all__ = ["asked", "confirm", "found", "search", "trials", "write"]
