"""One arm, from its configuration to its records. `run` tells the story on a page.

Imports: config, generators, judges, models, organism, probes, records, tasks, terminal, tracking, training.
"""

__all__ = ["answering", "inputs", "run"]
