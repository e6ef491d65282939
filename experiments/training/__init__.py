"""Fine-tuning: of an arm, and of the misaligned scorers that some safeguards need.

Imports: config, models, organism, records, tasks, terminal.
"""

__all__ = ["anchor", "curve", "fine_tune", "giving_up", "look_steps", "scorers", "together", "trained"]
