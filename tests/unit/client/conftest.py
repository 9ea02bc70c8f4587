"""Every test here waits for other greenlets, none of them for ever; and a front to ask."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import gevent
import gevent.socket
import pytest
from application_side import Accepted, Application

from gfcgi.client.http import HttpFront

DEADLINE_SECONDS = 60


@pytest.fixture(autouse=True)
def deadline() -> Iterator[None]:
    with gevent.Timeout(DEADLINE_SECONDS):
        yield


@pytest.fixture
def front_of() -> Callable[[Callable[[Accepted], object]], AbstractContextManager[Front]]:
    """A context manager: a started front of the application that a script says."""
    return _front_of


class HttpConnection(http.client.HTTPConnection):
    """http.client over a gevent socket, so that the front in this same thread goes on."""

    def connect(self):
        self.sock = gevent.socket.create_connection((self.host, self.port))


class Front:
    def __init__(self, script):
        self.application = Application(script)
        self.lines = []
        self.reach = self.application.connect
        """How the front connects to the application; a test may put something else here."""
        self.front = HttpFront(
            ("127.0.0.1", 0), self._reach, on_error_log=self.lines.append, allowed_hosts=["x"]
        )
        self.front.start()

    def _reach(self) -> socket.socket:
        return self.reach()

    def connect(self) -> HttpConnection:
        return HttpConnection(*self.front.address)

    def socket(self) -> socket.socket:
        return gevent.socket.create_connection(self.front.address)

    def get(self, target="/", method="GET", **options):
        """One request on its own connection: (status, headers, body)."""
        connection = self.connect()
        try:
            connection.request(method, target, **options)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def raw(self, sent: bytes) -> bytes:
        """What comes for ``sent`` until the front closes."""
        with self.socket() as sock:
            sock.sendall(sent)
            return b"".join(iter(lambda: sock.recv(65536), b""))


@contextmanager
def _front_of(script) -> Iterator[Front]:
    front = Front(script)
    try:
        yield front
    finally:
        front.front.stop()
        assert len(front.front._server._connections) == 0
    front.application.join()
