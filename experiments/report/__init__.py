"""From records to tables, files and plots. Loads no model and reads no configuration.

Imports: records, statistics, terminal.
"""

__all__ = ["arms", "bias", "closer", "labels", "measures", "report", "row", "table", "validity", "write"]
