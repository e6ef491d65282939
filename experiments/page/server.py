"""Serves the pages of sweeps to browsers on this machine, and to nobody else.

It listens on the loopback address alone. A request must name it as its host: else a page of any website could have its
own name point here, and read what is served (DNS rebinding). No path leads to a file: there are names of sweeps.
"""

from __future__ import annotations

import json
import re
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from experiments.page.kept_pages import CONTENTS, STATE, KeptPages

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
HTML, JSON = "text/html; charset=utf-8", "application/json; charset=utf-8"
ALWAYS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


class PageServer(ThreadingHTTPServer):
    """Serves pages.

    Args:
        port: to listen on; 0 for any that is free.
        pages: to serve.

    Raises:
        OSError: if the port cannot be had.
    """

    daemon_threads = True
    allow_reuse_address = sys.platform != "win32"  # where it would share a port that is taken

    def __init__(self, port: int, pages: KeptPages) -> None:
        self.pages = pages
        super().__init__((HOST, port), Handler)

    @property
    def address(self) -> str:
        """Of the page of all sweeps."""
        return f"http://{HOST}:{self.server_port}/"

    def page_of(self, name: str) -> str:
        """The address of the page of a sweep."""
        return f"{self.address}{quote(name, safe='')}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle is no error."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: PageServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "safeguards-view", ""
    timeout = 60

    def do_GET(self) -> None:
        if self.headers.get("Host", "") not in hosts(self.server.server_port):
            self.answer(HTTPStatus.FORBIDDEN, "text/plain", b"This viewer is asked by its own name only.\n")
            return
        path = urlsplit(self.path).path
        found = re.fullmatch(rf"/(?:([^/]+)/)?({STATE}|{CONTENTS})?", path)
        name, what = (unquote(part or "") for part in found.groups()) if found else (unquote(path[1:]), "")
        if name and name not in self.server.pages.names():
            self.answer(HTTPStatus.NOT_FOUND, "text/plain", b"There is no such page.\n")
        elif not found:  # the slash is missing, by which the script finds the rest
            self.answer(HTTPStatus.MOVED_PERMANENTLY, "text/plain", b"", Location=f"/{quote(name, safe='')}/")
        else:
            self.answer(HTTPStatus.OK, *self.made(name, what))

    def do_HEAD(self) -> None:
        self.do_GET()

    def made(self, name: str, what: str) -> tuple[str, bytes]:
        """The type of what is asked for, and what it is; of all sweeps where no name is given."""
        pages = self.server.pages
        if what == STATE:
            return JSON, json.dumps(pages.state(name) if name else pages.all_state()).encode()
        if what == CONTENTS:
            return JSON, pages.contents(name) if name else pages.all_contents()
        return HTML, pages.shell(name)

    def answer(self, status: HTTPStatus, kind: str, body: bytes, **headers: str) -> None:
        """Send an answer; to HEAD without its body."""
        self.send_response(status)
        for key, value in {**ALWAYS, "Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not worth a line: a page asks every few seconds."""


def hosts(port: int) -> list[str]:
    """As a browser names this server; the port of HTTP it leaves away."""
    return [*(f"{name}:{port}" for name in NAMES), *(NAMES if port == 80 else ())]
