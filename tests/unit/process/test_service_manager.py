"""gfcgi.process.service_manager: what systemd is told, and only if it asks."""

from __future__ import annotations

import os
import socket
import sys
from types import ModuleType

import pytest

from gfcgi.process.service_manager import ServiceManager


@pytest.fixture
def asked(monkeypatch):
    """A service manager that listens at an abstract address."""
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    name = f"gfcgi-test-notify-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name)
        sock.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        yield sock


def test_each_state_is_one_datagram(asked):
    manager = ServiceManager()
    manager.ready()
    manager.stopping()
    manager.reloading()
    assert asked.recv(100) == b"READY=1"
    assert asked.recv(100) == b"STOPPING=1"
    assert asked.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")


def test_a_manager_that_is_gone_does_no_harm(asked):
    manager = ServiceManager()
    asked.close()
    manager.ready()


def test_nothing_is_sent_where_nobody_asks(asked, monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET")
    ServiceManager().ready()
    asked.setblocking(False)
    with pytest.raises(BlockingIOError):
        asked.recv(100)


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "often"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_asks(asked, monkeypatch, variables, seconds):
    made = []

    class Background:
        def __init__(self, work, seconds):
            made.append(seconds)
            self.start = work

        def stop(self):
            made.append("stopped")

    background = ModuleType("gfcgi.server.background")
    background.Background = Background
    monkeypatch.setitem(sys.modules, "gfcgi.server.background", background)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with ServiceManager():
        if seconds is not None:
            assert asked.recv(100) == b"WATCHDOG=1"
    assert made == ([] if seconds is None else [seconds, "stopped"])
