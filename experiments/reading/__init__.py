"""A user's files: read once per process, and refused if a few bytes would blow up.

Imports: no other room.
"""

__all__ = ["read_once", "yaml_files"]
