"""Arms and sweeps in wandb, TensorBoard and MLflow. Our own records remain the source of truth.

What is sent is read from records (`arm`, `sweep`) and is the same for every tracker (`content`); each tracker is in a
module named after it. Nothing that a tracker does can end an arm.

Imports: config, pictures, records, report, statistics, terminal.
"""

__all__ = ["arm", "content", "curves", "dashboard", "guarded", "record", "refusals", "silent", "sweep"]
