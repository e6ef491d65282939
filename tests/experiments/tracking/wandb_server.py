"""A server that keeps what wandb sends, run by run, as the real one does: a file of history, one of the summary."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "a" * 40


@dataclass
class KeptRun:
    """A run as the server has it."""

    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    project: str = ""
    group: str = ""
    tags: list[str] = field(default_factory=list)


class WandbServer:
    """The runs that it was sent, by id."""

    def __init__(self) -> None:
        self.runs: dict[str, KeptRun] = {}
        self.artifacts: list[str] = []
        self.address = ""

    def stream(self, run: KeptRun, files: dict[str, Any]) -> None:
        for name, part in files.items():
            if "history" in name:
                run.history[part["offset"] :] = map(json.loads, part["content"])
            if "summary" in name:
                run.summary = json.loads(part["content"][-1])

    def answer(self, asked: str, given: dict[str, Any]) -> dict[str, Any]:
        """What is asked in GraphQL, by the name of the question."""
        name, project = given.get("name") or "", {"name": given.get("project") or "", "entity": {"name": "me"}}
        if asked == "Viewer":
            return {"viewer": {"id": "u", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}}
        if asked == "UpsertBucket":
            is_new, run = name not in self.runs, self.runs.setdefault(name, KeptRun())
            run.config = json.loads(given["config"]) if given.get("config") else run.config
            run.project, run.group = given.get("project") or run.project, given.get("groupName") or run.group
            run.tags = given.get("tags") or run.tags
            bucket = {"id": f"S{name}", "name": name, "displayName": name, "project": project, "sweepName": None,
                      "config": json.dumps(run.config), "historyLineCount": len(run.history)}  # fmt: skip
            return {"upsertBucket": {"bucket": bucket, "inserted": is_new}}
        if asked == "RunResumeStatus":
            return {"model": {"id": "m", **project, "bucket": self.resumed(name)}}
        if asked == "CreateRunFiles":
            files = [{"name": file, "uploadUrl": f"{self.address}/files/{file}"} for file in given["files"]]
            return {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": files}}
        if asked == "CreateArtifact":
            self.artifacts.append(given["input"]["artifactCollectionName"])
            latest = {"id": "l", "latestArtifact": {"id": "a", "versionIndex": 0}}
            return {"createArtifact": {"artifact": {"id": "a", "state": "COMMITTED", "artifactSequence": latest}}}
        if "Type" in asked:  # of an artifact that is not there yet
            return {"project": {"artifact": None, "artifactCollection": None}}
        return {}

    def resumed(self, name: str) -> dict[str, Any] | None:
        """What a client needs to go on with a run."""
        if (run := self.runs.get(name)) is None:
            return None
        tail = json.dumps([json.dumps(line) for line in run.history[-1:]])
        return {"name": name, "id": f"S{name}", "displayName": name, "summaryMetrics": json.dumps(run.summary),
                "config": json.dumps(run.config), "tags": run.tags, "wandbConfig": '{"t": 1}', "historyTail": tail,
                "eventsTail": "[]", "logLineCount": 0, "historyLineCount": len(run.history),
                "eventsLineCount": 0}  # fmt: skip


@contextmanager
def serving() -> Iterator[WandbServer]:
    """A server on this machine, for as long as the block runs."""
    kept = WandbServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def reply(self, found: Any) -> None:
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.reply({})

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.reply({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if "file_stream" in self.path:
                kept.stream(kept.runs[self.path.split("/")[4]], json.loads(body).get("files") or {})
                self.reply({"limits": {}})
                return
            asked = json.loads(body)
            name = asked["query"].split("(")[0].split("{")[0].split()[-1]
            self.reply({"data": kept.answer(name, asked.get("variables") or {})})

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda request, address: None  # a client that has gone
    kept.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
