"""Reads what wandb wrote offline, as `wandb sync` would: a log of records in blocks, as LevelDB has them."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import wandb
from wandb.proto import wandb_internal_pb2 as pb

BLOCK, HEAD = 32768, 7
FULL, LAST = 1, 4


def records(path: Path) -> Iterator[Any]:
    """Every record of a `.wandb` file."""
    data = path.read_bytes()
    assert data[:4] == b":W&B"
    place, parts = HEAD, []
    while place + HEAD <= len(data):
        if BLOCK - place % BLOCK < HEAD:
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + HEAD])
        if not kind:
            return
        parts.append(data[place + HEAD : place + HEAD + length])
        place += HEAD + length
        if kind in (FULL, LAST):
            record = pb.Record()
            record.ParseFromString(b"".join(parts))
            parts = []
            yield record


@dataclass
class OfflineRun:
    """What of a run is in one folder."""

    id: str
    project: str
    entity: str
    group: str
    kind: str
    name: str
    tags: list[str]
    resumed: bool
    folder: Path
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    artifacts: list[str] = field(default_factory=list)
    exit_code: int | None = None

    def curve(self, name: str) -> list[tuple[int, float]]:
        """(step of the training, value)."""
        return [(row["train/global_step"], row[name]) for row in self.history if name in row]

    def table(self, name: str) -> tuple[list[str], list[list[Any]]]:
        """Columns and rows of a table."""
        path = self.summary[f"{name}.path"]
        found = json.loads((self.folder / "files" / path).read_text())
        return found["columns"], found["data"]


def read_run(folder: Path) -> OfflineRun:
    """The run in an `offline-run-…` folder."""
    (path,) = folder.glob("run-*.wandb")
    found: OfflineRun | None = None
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
            resumed = run.resumed or record.run.settings.ByteSize() > 0
            found = OfflineRun(run.run_id, run.project, run.entity, run.run_group, run.job_type, run.display_name,
                               list(run.tags), resumed, folder)  # fmt: skip
            update(found.config, run.config.update)
        assert found is not None or kind in ("header", "request", "run"), kind
        if kind == "config":
            update(found.config, record.config.update)
        elif kind == "history":
            found.history.append({name_of(item): json.loads(item.value_json) for item in record.history.item})
        elif kind == "summary":
            update(found.summary, record.summary.update)
        elif kind == "artifact":
            found.artifacts.append(f"{record.artifact.type} {record.artifact.name}")
        elif kind == "exit":
            found.exit_code = record.exit.exit_code
    assert found is not None
    return found


def name_of(item: Any) -> str:
    return item.key or ".".join(item.nested_key)


def update(values: dict[str, Any], items: Any) -> None:
    for item in items:
        values[name_of(item)] = json.loads(item.value_json)


def runs_in(output: Path) -> list[OfflineRun]:
    """All folders of a sweep, oldest first, once the process behind wandb has written all of them."""
    wandb.teardown()
    return [read_run(folder) for folder in sorted((output / "wandb").glob("offline-run-*"))]
