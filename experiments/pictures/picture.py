"""A picture that was drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ENDINGS = ("svg", "pdf", "png")


@dataclass(frozen=True)
class Picture:
    """A picture on disk, in each of `ENDINGS`.

    Args:
        path: of the files, without the ending.
        title: a few words.
        caption: what is drawn and how to read it, for people who see it and for those who cannot.
    """

    path: Path
    title: str
    caption: str

    def file(self, ending: str) -> Path:
        """The file in one of `ENDINGS`."""
        return self.path.with_name(f"{self.path.name}.{ending}")
