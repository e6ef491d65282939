"""The viewer as a command: what it says, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from page.made_up import MadeUp, answer
from test_command_lines import line, told

from experiments import view
from experiments.records.outcomes import Score

__all__ = ["told"]  # a fixture


@pytest.fixture
def sweeps(tmp_path) -> Path:
    for name in ("one", "two"):
        MadeUp(tmp_path / "outputs" / name).add("none", [answer("Yes.")], [Score("aligned")], done=False)
    return tmp_path / "outputs"


@pytest.mark.parametrize("arguments", [[], ["name=demo"], ["demo"]])
def test_without_records_it_says_what_to_run(told, arguments):
    assert line(told, *arguments, command=view).endswith("no sweep there; run experiments.sweep first")


@pytest.mark.parametrize("arguments", [["name=demo"], ["demo"]])
def test_an_unknown_sweep_is_told_with_those_that_are_known(told, sweeps, arguments):
    assert line(told, *arguments, command=view) == "outputs/demo: no sweep there; known: one, two"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["port=x"], "port=x: must be a whole number from 0 to 65535"),
        (["port=-1"], "port=-1: must be a whole number from 0 to 65535"),
        (["port=65536"], "port=65536: must be a whole number from 0 to 65535"),
        (["port=80.5"], "port=80.5: must be a whole number"),
        (["port=²"], "port=²: must be a whole number"),
        (["port="], "port=: must have a value"),
        (["one", "two"], "'two': settings are given as key=value, such as name=two"),
        (["one", "name=two"], "one, name=two: are two names; give one"),
        (["../one"], "name=../one: must be letters, digits"),
        (["output=~/x"], "output=~/x: must be a whole path, without ~"),
        (["--port", "1"], "--port: settings are given as key=value; write port=1"),
        (["prot=1"], "unknown key 'prot': did you mean 'port'?"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(told, sweeps, arguments, complaint):
    assert line(told, *arguments, command=view).startswith(complaint)


def test_a_busy_port_is_told(told, sweeps):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert line(told, f"port={port}", command=view) == f"port={port}: is in use; take another with port=…"


def test_it_serves_until_ctrl_c_and_a_second_viewer_is_told_of_it(told, sweeps):
    command = [sys.executable, "-m", "experiments.view", "one", f"output={sweeps}", "port=0"]
    root = str(Path(view.__file__).parents[1])
    viewer = subprocess.Popen(
        command,
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    try:
        assert viewer.stdout
        said = viewer.stdout.readline()
        address = said.split()[0]
        assert said == f"{address} shows it, on this machine only; Ctrl-C ends it\n"
        assert address.startswith("http://127.0.0.1:")
        assert address.endswith("/one/")
        with urllib.request.urlopen(f"{address}state") as found:
            assert b"0 of 1 arms done" in found.read()
        port = address.split(":")[2].partition("/")[0]
        assert line(told, f"port={port}", command=view) == (
            f"port={port}: another viewer runs there (http://127.0.0.1:{port}/); take another with port=…"
        )
    finally:
        viewer.send_signal(signal.SIGINT)
        _, ended = viewer.communicate(timeout=20)
    assert viewer.returncode == 130
    assert ended.strip() == "interrupted: nothing was changed, and the same command shows the sweeps again"
