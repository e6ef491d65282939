"""From a command line to the arms of a sweep: all that is refused is refused here, before any arm is trained.

Imports: arm, config, generators, judges, models, organism, probes, records, report, statistics, tasks, terminal, tracking, training.
"""  # noqa: E501

__all__ = [
    "baseline",
    "engines",
    "forecast",
    "identity",
    "launch",
    "outline",
    "pilot",
    "plan",
    "power",
    "readiness",
    "refusals",
    "shape",
    "sizing",
    "state",
    "step_memory",
    "worlds",
]
