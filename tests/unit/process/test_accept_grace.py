"""gfcgi.process.accept_grace: how long somebody may still connect after a stop."""

from __future__ import annotations

import os
import socket

import pytest

from gfcgi import limits
from gfcgi.process import accept_grace
from gfcgi.process.accept_grace import AcceptGrace


def listener(family, address):
    sock = socket.socket(family)
    sock.bind(address)
    sock.listen()
    return sock


@pytest.fixture(params=["unix", "abstract", "ipv4"])
def listening(request, tmp_path):
    family, address = {
        "unix": (socket.AF_UNIX, str(tmp_path / "l.sock")),
        "abstract": (socket.AF_UNIX, f"\0gfcgi-test-{os.getpid()}"),
        "ipv4": (socket.AF_INET, ("127.0.0.1", 0)),
    }[request.param]
    with listener(family, address) as sock:
        yield sock


@pytest.fixture
def patient(monkeypatch):
    monkeypatch.setattr(limits, "ACCEPT_GRACE_SECONDS", 3600.0)


def test_somebody_is_expected_for_a_while(listening, patient, monkeypatch):
    seconds = iter([100.0, 109.0, 110.5])
    monkeypatch.setattr(accept_grace.time, "monotonic", lambda: next(seconds))
    grace = AcceptGrace(listening, 10)
    assert [grace.expected() for _ in range(3)] == [True, True, False]


def test_somebody_is_expected_no_longer_than_the_graceful_time(listening):
    assert not AcceptGrace(listening, 0).expected()


@pytest.mark.parametrize("replaced", [False, True])
def test_nobody_is_expected_once_the_name_is_another_sockets_or_nobodys(
    tmp_path, patient, replaced
):
    path = str(tmp_path / "l.sock")
    with listener(socket.AF_UNIX, path) as sock:
        grace = AcceptGrace(sock, 3600)
        assert grace.expected()
        os.rename(path, f"{path}.old")  # not removed: its number would be free for the next one
        with listener(socket.AF_UNIX, path if replaced else f"{path}.new"):
            assert not grace.expected()


def test_somebody_is_expected_where_the_name_cannot_be_seen(tmp_path, patient, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with listener(socket.AF_UNIX, "l.sock") as sock:
        monkeypatch.chdir("/")
        assert AcceptGrace(sock, 3600).expected()
