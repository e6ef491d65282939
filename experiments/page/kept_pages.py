"""Pages of all sweeps in a folder, made when somebody looks and made anew when their records have changed.

They are kept in memory, and nothing is written, so several viewers may look at one folder. They are made one after the
other, none twice at once: the mixed models behind a table keep a processor busy for seconds.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experiments.page.overview import overview
from experiments.page.page import contents, pictures_in, whole_page
from experiments.page.state import SweepState, read_state
from experiments.page.words import many
from experiments.records.sweep_file import kept_sweeps
from experiments.report.arms import read_arms
from experiments.report.report import make_report
from experiments.terminal.escaping import plain
from safeguards.errors import SafeguardError, one_line

# From where the script of a page fetches how a sweep stands, and what its page says.
STATE, CONTENTS = "state", "contents"


@dataclass(frozen=True)
class Made:
    """A page that was made.

    Args:
        records: those of which it was tried last.
        version: the records of which the contents are; empty where there are none yet.
        contents: for the script, as JSON.
        failures: why none could be made of the records that were tried last.
    """

    records: str = ""
    version: str = ""
    contents: bytes = b'{"page":null}'
    failures: Sequence[str] = ()


class KeptPages:
    """The pages of the sweeps in a folder.

    Args:
        output: the folder of all sweeps.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self._made: dict[str, Made] = {}
        self._making: set[str] = set()
        self._lock, self._turn = threading.Lock(), threading.Lock()

    def names(self) -> list[str]:
        """Of the sweeps."""
        return kept_sweeps(self.output)

    def shell(self, name: str) -> bytes:
        """The page of a sweep, or of all where `name` is empty, before the script has fetched what it says."""
        live = {"state": STATE, "contents": CONTENTS, "up": "../" if name else ""}
        return whole_page({"name": name or "Sweeps", "live": live}, connects="'self'").encode()

    def state(self, name: str) -> dict[str, Any]:
        """How a sweep stands. Begins to make its page where there is none of these records."""
        state = read_state(self.output / name)
        with self._lock:
            made = self._made.get(name, Made())
            stale = state.done > 0 and made.records != state.records
            if stale and name not in self._making:
                self._making.add(name)
                threading.Thread(target=self._make, args=(state,), daemon=True).start()
        line = state.line + "; the page is being made …" * stale
        failures = [*state.failures, *(() if stale else made.failures)]
        return {"line": line, "running": bool(state.running), "failures": failures, "version": made.version}

    def contents(self, name: str) -> bytes:
        """What the page of a sweep says, as it was last made."""
        with self._lock:
            return self._made.get(name, Made()).contents

    def all_state(self) -> dict[str, Any]:
        """How all sweeps stand."""
        return {key: value for key, value in overview(self.output, self.names()).items() if key != "page"}

    def all_contents(self) -> bytes:
        """What the page of all sweeps says."""
        return json.dumps(overview(self.output, self.names())).encode()

    def _make(self, state: SweepState) -> None:
        """Make the page of a sweep as its records are, once it is its turn."""
        with self._turn:
            started = time.perf_counter()
            print(plain(f"{state.name}: makes the page of {many(state.done, 'arm')}"), flush=True)
            try:
                said = json.dumps({**self._contents(state.name), "version": state.records}).encode()
                made, told = (
                    Made(state.records, state.records, said),
                    f"made in {time.perf_counter() - started:.1f} seconds",
                )
            except Exception as error:  # whatever it is: records may change meanwhile, and then it is tried again
                told = one_line(error)
                before = self._made.get(state.name, Made())
                made = replace(before, records=state.records, failures=[told])
            print(plain(f"{state.name}: {told}"), flush=True)
        with self._lock:
            self._made[state.name] = made
            self._making.discard(state.name)

    def _contents(self, name: str) -> dict[str, Any]:
        """What its page says.

        Raises:
            SafeguardError: if no arm can be compared, and why.
        """
        output = self.output / name
        if (report := make_report(output)) is None:
            lines: list[str] = []
            read_arms(output, warn=lines.append)
            raise SafeguardError("; ".join(lines) or f"{output}: no arm of this sweep is done")
        page, answers = contents(report, [])
        page["pictures"] = pictures_in(report.path("report", "html"), read_state(output).changed)
        return {"page": page, "answers": answers}
