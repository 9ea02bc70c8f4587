"""gfcgi.sockets: what the kernel says, with and without the names that Linux has."""

from __future__ import annotations

import os
import socket

import pytest

from gfcgi.sockets import Credentials, is_listening, peer_credentials


@pytest.fixture(params=["as here", "as on macOS"])
def system(request, monkeypatch):
    if request.param == "as on macOS":
        for name in ("SO_PEERCRED", "SO_ACCEPTCONN"):
            monkeypatch.delattr(socket, name)
    return request.param


def test_the_other_end_of_a_unix_socket_is_named_where_the_kernel_says_it(system):
    left, right = socket.socketpair()
    with left, right:
        known = Credentials(os.getpid(), os.getuid())
        assert peer_credentials(left) == (known if system == "as here" else None)


def test_a_closed_socket_has_no_other_end(system):
    left, right = socket.socketpair()
    left.close()
    right.close()
    assert peer_credentials(left) is None


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET, socket.AF_INET6])
def test_a_listening_stream_socket_is_told_from_a_connected_one(system, family, tmp_path):
    place = {
        socket.AF_UNIX: str(tmp_path / "l.sock"),
        socket.AF_INET: ("127.0.0.1", 0),
        socket.AF_INET6: ("::1", 0),
    }[family]
    with socket.socket(family) as listener, socket.socket(family) as client:
        listener.bind(place)
        listener.listen()
        assert is_listening(listener)
        client.connect(listener.getsockname())
        assert not is_listening(client)
        server, _ = listener.accept()
        with server:
            assert not is_listening(server)
        assert is_listening(listener)


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
def test_a_socket_without_a_name_does_not_listen(system, family):
    with socket.socket(family) as sock:
        assert not is_listening(sock)


def test_a_datagram_socket_does_not_listen(system):
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        assert not is_listening(sock)


def test_a_socket_whose_peer_has_gone_does_not_listen(system):
    left, right = socket.socketpair()
    right.close()
    with left:
        assert not is_listening(left)
