"""A process that is told to stop while it starts answers the requests that wait for it first."""

from __future__ import annotations

import signal
import socket

import pytest

PAGE = b"<html><body><h2>hello world</h2></body></html>"

TELLING = """\
import os, runpy, signal, sys

class Teller:
    told = False

    def find_spec(self, name, path=None, target=None):
        if name == module and not Teller.told:
            Teller.told = True
            for signum in (signal.SIGUSR1, signal.SIGTERM):
                os.kill(os.getpid(), signum)

sys.meta_path.insert(0, Teller())
_, module, *sys.argv = sys.argv
if sys.argv[0] == "-m":
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
else:
    runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Sends itself Apache's signals of a graceful restart as soon as a module is imported."""

WAYS = {"script": [], "command": ["-m", "gfcgi"]}


@pytest.fixture
def told(start):
    """Start a process that is told to stop while it imports a module."""

    def told(module, *arguments, **settings):
        return start("-c", TELLING, module, *arguments, **settings)

    return told


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize(
    "module",
    [
        "gfcgi.options",
        "gfcgi.process.inherited",
        "gfcgi.cooperative",
        "gfcgi.process.serving",
        "gfcgi.server",
    ],
)
def test_who_waits_is_answered_wherever_the_start_is_when_it_is_told_to_stop(
    ask, hello, told, how, module
):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        waiting = [ask(listening.getsockname()) for _ in range(3)]
        process = told(module, *WAYS[how], hello, stdin=listening)
    assert [connection.response(1).body for connection in waiting] == [PAGE] * 3
    assert process.wait() == 0
    assert "stopped by SIGTERM" in process.log()


@pytest.mark.parametrize(
    "module", ["argparse", "gfcgi.commands.serve", "gfcgi.process.loading", "shop"]
)
def test_so_it_is_while_the_command_line_loads_the_application(ask, hello, told, module, tmp_path):
    (tmp_path / "shop.py").touch()
    hello.write_text("import shop\n" + hello.read_text())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        waiting = ask(listening.getsockname())
        process = told(module, "-m", "gfcgi", hello, stdin=listening)
    assert waiting.response(1).body == PAGE
    assert process.wait() == 0


def test_where_nobody_can_be_waiting_it_ends_at_once(hello, told, tmp_path):
    (tmp_path / "shop.py").touch()
    hello.write_text("import shop\n" + hello.read_text())
    process = told("shop", "-m", "gfcgi", hello, "--bind", "unix:app.sock")
    assert process.wait() == 128 + signal.SIGUSR1
    assert process.log() == ""
