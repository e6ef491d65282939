"""From records to tables, files and plots. Loads no model and reads no configuration.

Imports: records, statistics, terminal.
"""

__all__ = [
    "arms",
    "baselines",
    "choices",
    "closer",
    "labels",
    "measures",
    "plots",
    "published",
    "report",
    "row",
    "table",
    "validity",
    "write",
]
