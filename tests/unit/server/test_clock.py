"""gfcgi.server: when the clock of the machine is set, no timeout comes early, and none stays out.

``running.stepping_clock`` moves CLOCK_REALTIME for the server's process alone.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import webserver_side as wire
from running import RunningServer
from running.stepping_clock import step_clock, stepping_clock

from gfcgi.server import deadlines

SETTLED = 1.5
"""Seconds after which libev has noticed a step: it compares its clocks twice a second."""


@pytest.fixture
def stepped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that steps CLOCK_REALTIME of the servers that are started from now on."""
    library, step = stepping_clock(tmp_path)
    if library is None:
        pytest.skip("the clock of one process is moved by a library, which needs a C compiler")
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("STEP", str(step))

    def to(seconds: int) -> None:
        step_clock(step, seconds)

    code = "import time; print(time.time())"
    to(1_000_000)
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert float(shown.stdout) > time.time() + 900_000
    to(0)
    return to


@pytest.mark.parametrize("seconds", [600, -3600])
def test_no_step_of_the_clock_makes_anything_late(stepped, seconds):
    """A body that is waited for, a response that is not read, and an idle connection."""
    with (
        RunningServer(measured=False) as server,
        server.connect() as upload,
        server.connect() as download,
        server.connect() as idle,
    ):
        body = b"b" * 1000
        values = wire.cgi_params("POST", "/digest", "key=upload", body)
        upload.send(wire.begin_request(1), wire.params(1, values))
        query = "key=download&count=100&size=65536"
        download.send(wire.request(1, wire.cgi_params(path="/chunks", query=query)))
        idle.send(wire.request(1, wire.cgi_params(), keep_conn=True))
        assert idle.response(1).status == 200
        server.wait_noted("upload", "reading")
        stepped(seconds)
        # Five seconds at most are between two looks of the server at what is late.
        assert not upload.readable(5 + SETTLED)
        upload.send(wire.stdin(1, body))
        assert upload.response(1).status == 200
        assert len(download.response(1).body) == 100 * 65536
        idle.send(wire.request(1, wire.cgi_params(), keep_conn=True))
        assert idle.response(1).status == 200
        assert server.warnings == []


def test_a_timeout_comes_in_its_time_although_the_clock_goes_back(stepped):
    with (
        RunningServer(measured=False, params_timeout_seconds=2 * SETTLED) as server,
        server.connect() as connection,
    ):
        connection.send(wire.begin_request(1))
        assert not connection.readable(SETTLED / 2)
        stepped(-3600)
        connection.wait_closed()


def test_the_clocks_module_reads_no_clock():
    assert not {"time", "monotonic", "get_hub"} & set(vars(deadlines))
