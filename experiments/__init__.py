"""Experiments: tasks, probes, judges, records and tables around the safeguards."""
