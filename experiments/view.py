"""Look at all sweeps in a browser, also while one runs: `python -m experiments.view demo`.

Without a name, the page of all sweeps comes first. Pages are served on this machine only, made from the records anew
when these change, and kept in memory: nothing is written.
"""

from __future__ import annotations

import errno
import webbrowser
from http.client import HTTPConnection, HTTPException

from experiments.config.folders import typed_folder
from experiments.records.sweep_file import PLAN, kept_sweeps, no_sweep
from experiments.terminal.command_line import SWEEP, CommandLine
from experiments.terminal.ending import ending_in_one_line
from experiments.terminal.escaping import plain
from safeguards.errors import SafeguardError

PORT = 8642
KEPT = "nothing was changed, and the same command shows the sweeps again"


@ending_in_one_line(KEPT)
def main() -> None:
    """The command line."""
    explained = f"on which the browser finds it; 0 takes one that is free; default: {PORT}"
    line = CommandLine("view", __doc__, {**SWEEP, "port": explained, "name": "of the sweep; default: all"}, "[NAME]")
    line.add_argument("--open", action="store_true", help="open the page in the browser of this machine")
    given = line.read()
    if given.words and "name" in given.settings:
        line.error(f"{given.words[0]}, name={given.settings['name']}: are two names; give one")
    named = dict(zip(["name"], given.words, strict=False))
    port = typed_port(given.settings.get("port", str(PORT)))
    folder = typed_folder({**given.settings, **named}, "sweep")
    wanted = "name" in {**given.settings, **named}
    if not kept_sweeps(folder.parent) or (wanted and not (folder / PLAN).is_file()):
        raise SafeguardError(no_sweep(folder if wanted else folder.parent / "…"))
    from experiments.page.kept_pages import KeptPages
    from experiments.page.server import HOST, PageServer

    try:
        server = PageServer(port, KeptPages(folder.parent))
    except OSError as error:
        raise SafeguardError(f"port={port}: {taken(HOST, port, error)}; take another with port=…") from error
    place = server.page_of(folder.name) if wanted else server.address
    print(plain(f"{place} shows it, on this machine only; Ctrl-C ends it"), flush=True)
    if given.open:
        webbrowser.open(place)
    with server:
        server.serve_forever()


def typed_port(text: str) -> int:
    """The port that was typed.

    Raises:
        SafeguardError: if it is none.
    """
    if not text.isascii() or not text.isdecimal() or int(text) > 65535:
        raise SafeguardError(f"port={text}: must be a whole number from 0 to 65535")
    return int(text)


def taken(host: str, port: int, error: OSError) -> str:
    """Why a port cannot be had."""
    if error.errno != errno.EADDRINUSE:
        return f"cannot be had ({error.strerror})"
    try:
        connection = HTTPConnection(host, port, timeout=1)
        connection.request("HEAD", "/")
        theirs = connection.getresponse().headers.get("Server", "")
    except (OSError, HTTPException):
        theirs = ""
    return f"another viewer runs there (http://{host}:{port}/)" if "safeguards-view" in theirs else "is in use"


if __name__ == "__main__":
    main()
