"""What judges replied, kept on disk by the content of what they were asked, so that nothing is asked or paid twice."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safeguards.safeguard import SafeguardError, one_line


class Replies:
    """Replies of one judge in one SQLite file. Each is on disk as soon as it is there.

    Args:
        folder: of all judges' files; made if it is not there.
        name: of the judge.
    """

    def __init__(self, folder: str | Path, name: str) -> None:
        self.path = Path(folder) / f"{name}.sqlite"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._trouble_told():
            # Several arms may be judged at once by several processes; each waits for the others' writing.
            self.database = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            self.database.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT)")

    @staticmethod
    def key(**asked: Any) -> str:
        """A hash of all that decides the reply: model, prompt and settings; never a secret."""
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def get(self, key: str) -> Any | None:
        """The reply, or None if there is none yet."""
        with self._trouble_told():
            found = self.database.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
            return json.loads(found[0]) if found else None

    def put(self, key: str, reply: Any) -> None:
        """Keep a reply."""
        with self._trouble_told():
            self.database.execute("INSERT OR REPLACE INTO replies VALUES (?, ?)", (key, json.dumps(reply)))

    @contextmanager
    def _trouble_told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            raise SafeguardError(
                f"{self.path}: replies cannot be kept or read there ({one_line(error)}); free space, or remove the file"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self.database.close()
