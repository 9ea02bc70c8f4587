"""A server in this process, and a Web server's end of its connections, all on one gevent hub."""

from __future__ import annotations

import contextlib
import itertools
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gevent
import gevent.socket
import pytest
import webserver_side as wire

from gfcgi.options import Options
from gfcgi.server import Server
from gfcgi.server import server as module
from gfcgi.server.time_limit import plain_stack

DEADLINE_SECONDS = 60
"""Only bounds a broken run."""


@pytest.fixture(autouse=True)
def deadline() -> Iterator[None]:
    """Nothing waits for ever, and nothing falls out of a greenlet into the hub unseen."""
    hub = gevent.get_hub()
    fallen: list[object] = []
    hub.handle_error = lambda context, kind, value, traceback: fallen.append((context, value))
    try:
        with gevent.Timeout(DEADLINE_SECONDS):
            yield
    finally:
        del hub.handle_error
    assert fallen == []


class Site:
    """A serving Server and the way to it."""

    def __init__(self, server: Server, address: Any) -> None:
        self.server = server
        self.address = address
        self.opened: list[wire.TransportConnection] = []
        self.greenlet = gevent.spawn(server.serve)

    def connect(self, *, send_buffer: int | None = None) -> wire.TransportConnection:
        """A transport connection whose waits let the server go on; ``send_buffer`` in bytes."""
        family = socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET
        sock = gevent.socket.socket(family)
        if send_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        try:
            sock.connect(self.address)
        except OSError:
            sock.close()
            raise
        connection = wire.TransportConnection(sock)
        self.opened.append(connection)
        return connection

    def ask(self, *args: Any, **extra: Any) -> wire.Response:
        """One GET, or what ``cgi_params`` takes, on a connection of its own."""
        with self.connect() as connection:
            connection.send(wire.request(1, wire.cgi_params(*args, **extra)))
            return connection.response(1)

    def until_idle(self) -> None:
        """Wait until nothing runs and nothing is open."""
        until(lambda: not self.server.active_requests and not self.server.connections)

    @property
    def only_connection(self) -> Any:
        """The server's side of the one connection there is."""
        (connection,) = self.server.open_connections
        return connection


def until(fact: Callable[[], object]) -> None:
    """Let the other greenlets run until ``fact()`` is true."""
    with gevent.Timeout(DEADLINE_SECONDS / 3, AssertionError("it never came true")):
        while not fact():
            gevent.sleep(0.001)


@pytest.fixture(name="until")
def until_fixture() -> Callable[[Callable[[], object]], None]:
    return until


@pytest.fixture
def listen(tmp_path):
    """A new listening UNIX socket, or one of another family."""
    numbers = itertools.count()
    opened = []

    def listen(family: int = socket.AF_UNIX, host: str = "127.0.0.1") -> socket.socket:
        listener = socket.socket(family)
        opened.append(listener)
        listener.bind(f"{tmp_path}/{next(numbers)}" if family == socket.AF_UNIX else (host, 0))
        listener.listen()
        return listener

    yield listen
    for listener in opened:
        listener.close()


@pytest.fixture
def sends(monkeypatch):
    """The bytes that each call of send() gave to the kernel, in their order."""
    seen = []

    class Recorded(module._kernel_socket):
        def send(self, data, flags=0):
            sent = super().send(data, flags)
            seen.append(bytes(data[:sent]))
            return sent

        def sendmsg(self, buffers, ancdata=(), flags=0):
            buffers = list(buffers)
            sent = super().sendmsg(buffers, ancdata, flags)
            seen.append(b"".join(buffers)[:sent])
            return sent

    monkeypatch.setattr(module, "_kernel_socket", Recorded)
    return seen


@pytest.fixture
def accepted(monkeypatch):
    """The sockets that the server has accepted, each with the number of bytes read from it."""
    sockets = []

    class Accepted(module._kernel_socket):
        received = 0

        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            sockets.append(self)

        def recv(self, most, flags=0):
            data = super().recv(most, flags)
            self.received += len(data)
            return data

    monkeypatch.setattr(module, "_kernel_socket", Accepted)
    return sockets


@pytest.fixture
def asked_of_sockets(monkeypatch):
    """The names of what is asked of the sockets that the server accepts, in their order."""
    names = []

    class Asked(module._kernel_socket):
        def __getattribute__(self, name):
            names.append(name)
            return super().__getattribute__(name)

    monkeypatch.setattr(module, "_kernel_socket", Asked)
    return names


@pytest.fixture
def full_disk(monkeypatch):
    """Temporary files that take nothing, as on a full disk."""

    def no_space(buffering=-1, **options):
        return open("/dev/full", "w+b", buffering=buffering)

    monkeypatch.setattr(tempfile, "TemporaryFile", no_space)


@pytest.fixture
def serving(listen):
    """A context manager: a Site of an application and options, stopped and empty at the end."""

    @contextlib.contextmanager
    def serving(
        application: Any,
        *,
        family: int = socket.AF_UNIX,
        multiprocess: bool = False,
        still_expected: Callable[[], bool] | None = None,
        observers: Sequence[Any] = (),
        stack_of: Callable[..., str] = plain_stack,
        **options: Any,
    ) -> Iterator[Site]:
        options.setdefault("graceful_timeout_seconds", 20)
        listener = listen(family)
        address = listener.getsockname()
        server = Server(
            application,
            [listener],
            Options(**options),
            multiprocess=multiprocess,
            still_expected=still_expected,
            observers=observers,
            stack_of=stack_of,
        )
        site = Site(server, address)
        try:
            yield site
        finally:
            for connection in site.opened:
                connection.close()
            server.stop()
            site.greenlet.get()
        assert server.connections == 0
        assert server.active_requests == 0

    return serving
