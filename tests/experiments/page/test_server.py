"""The server: this machine only, by its own name only, and nothing but pages."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator

import pytest
from page.made_up import MadeUp, answer

from experiments.page.kept_pages import KeptPages
from experiments.page.server import PageServer
from experiments.records.outcomes import Score


@pytest.fixture
def server(tmp_path) -> Iterator[PageServer]:
    for name in ("mine", "a b"):
        sweep = MadeUp(tmp_path / "outputs" / name)
        sweep.add("none", [answer("Yes.")], [Score("aligned")], done=False)
    (tmp_path / "outputs" / "no-sweep").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    with PageServer(0, KeptPages(tmp_path / "outputs")) as made:
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield made
        made.shutdown()


def ask(server: PageServer, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection.getresponse()


def test_it_listens_on_this_machine_only(server):
    assert server.server_address[0] == "127.0.0.1"
    assert server.page_of("a b") == f"http://127.0.0.1:{server.server_port}/a%20b/"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/mine/", "text/html; charset=utf-8"),
        ("/a%20b/", "text/html; charset=utf-8"),
        ("/state", "application/json; charset=utf-8"),
        ("/contents", "application/json; charset=utf-8"),
        ("/mine/state", "application/json; charset=utf-8"),
        ("/mine/contents?x=1", "application/json; charset=utf-8"),
    ],
)
def test_pages_and_their_parts_are_served_and_never_kept(server, path, kind):
    found = ask(server, path)
    body = found.read()
    assert (found.status, found.headers["Content-Type"]) == (200, kind)
    assert found.headers["Cache-Control"] == "no-store"
    assert found.headers["X-Content-Type-Options"] == "nosniff"
    assert found.headers["Access-Control-Allow-Origin"] is None
    assert len(body) == int(found.headers["Content-Length"]) > 0
    if "json" in kind:
        json.loads(body)
    else:
        assert b"connect-src 'self'" in body
    alone = ask(server, path, "HEAD")
    assert (alone.status, alone.headers["Content-Type"], alone.read()) == (200, kind, b"")


@pytest.mark.parametrize(
    "path",
    [
        *("/../secret.txt", "/..%2fsecret.txt", "/mine/../../secret.txt", "/%2e%2e/secret.txt", "//secret.txt"),
        *(
            "/mine/arms/arm0/",
            "/mine/sweep.json",
            "/no-sweep/",
            "/gone/",
            "/gone",
            "/..",
            "/../",
            "/mine/state/",
            "/%00/",
        ),
    ],
)
def test_nothing_else_is_served(server, path):
    found = ask(server, path)
    assert found.status == 404
    assert found.read() == b"There is no such page.\n"


def test_a_page_without_its_slash_is_led_to_it(server):
    found = ask(server, "/a%20b")
    assert (found.status, found.headers["Location"]) == (301, "/a%20b/")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1.evil.example:80", "", "localhost"])
def test_who_asks_by_another_name_gets_nothing(server, host):
    assert ask(server, "/mine/contents", Host=host).status == 403


def test_who_asks_by_its_own_names_is_answered(server):
    for name in ("127.0.0.1", "localhost"):
        assert ask(server, "/", Host=f"{name}:{server.server_port}").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(server, method):
    assert ask(server, "/mine/", method).status == 501


def test_what_is_no_request_stops_nothing(server):
    with socket.create_connection(("127.0.0.1", server.server_port)) as broken:
        broken.sendall(b"\x00\xff nonsense\r\n\r\n")
        broken.recv(100)
    with socket.create_connection(("127.0.0.1", server.server_port)) as gone:
        gone.sendall(b"GET /mine/ HTTP/1.1\r\n")
    assert ask(server, "/").status == 200
