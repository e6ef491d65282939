"""Experiments: tasks, probes, judges, records and tables around the safeguards."""

import os

# Libraries, where they are installed, report usage or their errors unless told not to; we tell them not to.
SILENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_ERROR_REPORTING": "false",
    "DO_NOT_TRACK": "1",
}
for _name, _value in SILENT.items():
    os.environ.setdefault(_name, _value)
