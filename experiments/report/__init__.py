"""From records to tables, files and plots. Loads no model and reads no configuration.

Imports: records, statistics, terminal.
"""

__all__ = [
    "arms",
    "baselines",
    "bias",
    "captions",
    "choices",
    "closer",
    "labels",
    "measures",
    "plots",
    "published",
    "report",
    "row",
    "stopping",
    "table",
    "validity",
    "write",
]
