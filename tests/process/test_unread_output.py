"""Standard error and output are a pipe that nobody reads: the server goes on, and says so later."""

from __future__ import annotations

import os
import re
import signal
import socket

import pytest

SCRIPT = """\
import logging, sys
logging.basicConfig()
early = sys.stderr

def application(environ, start_response):
    print("printed" + "x" * 500)
    print("printed to standard error", file=sys.stderr)
    assert early is sys.stderr is sys.__stderr__
    logging.getLogger("app").error("logged" + "y" * 500)
    raise ValueError("of the application")

import gfcgi
gfcgi.run(application, bind="unix:web.sock")
"""
REQUESTS = 150


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_every_request_is_answered_and_the_log_says_what_it_lacks(start, ask, tmp_path, kind):
    if kind == "pipe":
        reading, writing = os.pipe()
    else:
        theirs, ours = socket.socketpair()
        reading, writing = theirs.detach(), ours.detach()
    script = tmp_path / "app.py"
    script.write_text(SCRIPT)
    process = start(
        "-c",
        "import os, sys; os.dup2(1, 2); os.execv(sys.executable, [sys.executable, sys.argv[1]])",
        script,
        stdout=writing,
    )
    os.close(writing)
    place = str(tmp_path / "web.sock")
    process.until(lambda: accepts(place))
    for _ in range(REQUESTS):
        connection = ask(place)
        assert connection.response(1).status == 500
        connection.close()
    os.set_blocking(reading, False)
    said = read(reading)
    assert b"left out" not in said
    assert ask(place).response(1).status == 500
    process.send(signal.SIGTERM)
    assert process.wait() == 0
    said = read(reading)
    os.close(reading)
    # Each of the two streams has its own count.
    counts = re.findall(rb"(?m)^gfcgi\[\d+\]: nobody read here: (\d+) lines? left out$", said)
    assert sum(map(int, counts)) > REQUESTS, said
    assert b"stopped by SIGTERM" in said


def accepts(place):
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(place) == 0


def read(fd):
    found = b""
    while True:
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return found
        if not data:
            return found
        found += data
