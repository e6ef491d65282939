"""Changes of a configuration, as tests name them."""

from __future__ import annotations

from experiments.config.schema import Config


def changed(config: Config, **changes: object) -> Config:
    """The configuration, with `task__name` for `task.name`."""
    for key, value in changes.items():
        *parents, last = key.split("__")
        node = config
        for parent in parents:
            node = node[parent] if isinstance(node, dict) else getattr(node, parent)
        assert hasattr(node, last)
        setattr(node, last, value)
    return config
