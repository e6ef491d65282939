"""From records to tables and files. Loads no model and reads no configuration.

Imports: records, statistics, terminal.
"""

__all__ = [
    "arms",
    "baselines",
    "bias",
    "captions",
    "choices",
    "closer",
    "doses",
    "labels",
    "measures",
    "published",
    "report",
    "row",
    "safe_rows",
    "stopping",
    "table",
    "validity",
    "world_draws",
    "write",
]
