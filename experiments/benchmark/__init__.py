"""What safeguards cost in time and memory: `python -m experiments.benchmark`.

Imports: config, models, organism, records, tasks, terminal, training.
"""
