"""The application's side of the wire for the tests: a scripted one, on greenlets.

The counterpart of ``webserver_side``, with whose records it is written; like that it imports
nothing from gfcgi. A script is a function that is given an ``Accepted`` request and sends what it
likes, malformed bytes included; it runs in a greenlet of its own on one end of a socket pair::

    def script(request):
        request.stdout(b"Status: 204\\r\\n\\r\\n")
        request.end()

    application = Application(script)
    sock = application.connect()
    ...
    application.join()  # raises what the script raised
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import gevent.socket
from webserver_side import (
    BEGIN_REQUEST,
    DATA,
    END_REQUEST,
    PARAMS,
    STDERR,
    STDIN,
    STDOUT,
    Record,
    parse_pairs,
    parse_records,
    record,
)

__all__ = ["HEAD", "Accepted", "Application", "hello", "refuse"]

HEAD = b"Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n"
"""A header block for STDOUT."""


class Accepted:
    """One request as the application receives it: its BEGIN_REQUEST and PARAMS are read.

    Raises: EOFError if the transport connection is closed with nothing sent.
    """

    def __init__(self, sock: gevent.socket.socket) -> None:
        self.socket = sock
        self._records: list[Record] = []
        self._rest = b""
        begin = self.receive()
        if begin is None:
            raise EOFError("closed before a request came")
        assert begin.type == BEGIN_REQUEST
        self.request_id = begin.request_id
        self.role, self.flags = struct.unpack(">HB5x", begin.content)
        block = b"".join(self._contents(PARAMS))
        self.params = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in parse_pairs(block)
        }

    def receive(self) -> Record | None:
        """The next record, or None at the end of the transport connection."""
        while not self._records:
            try:
                received = self.socket.recv(65536)
            except ConnectionResetError:
                received = b""
            if not received:
                assert not self._rest, f"cut in mid-record: {self._rest!r}"
                return None
            self._records, self._rest = parse_records(self._rest + received)
        return self._records.pop(0)

    def stdin(self) -> Iterator[bytes]:
        """The content of each STDIN record until the empty one."""
        return self._contents(STDIN)

    def data(self) -> Iterator[bytes]:
        """The content of each DATA record until the empty one."""
        return self._contents(DATA)

    def _contents(self, record_type: int) -> Iterator[bytes]:
        while True:
            one = self.receive()
            assert one is not None, "the transport connection ended within a stream"
            assert (one.type, one.request_id) == (record_type, self.request_id)
            if not one.content:
                return
            yield one.content

    def stdout(self, content: bytes) -> None:
        """Send one STDOUT record."""
        self.socket.sendall(record(STDOUT, self.request_id, content))

    def stderr(self, content: bytes) -> None:
        """Send one STDERR record."""
        self.socket.sendall(record(STDERR, self.request_id, content))

    def end(self, app_status: int = 0, protocol_status: int = 0) -> None:
        """Send END_REQUEST, after the empty STDOUT."""
        body = struct.pack(">IB3x", app_status, protocol_status)
        self.socket.sendall(
            record(STDOUT, self.request_id) + record(END_REQUEST, self.request_id, body)
        )

    def wait_closed(self) -> None:
        """Return once the other side has closed; whatever it still sends is dropped."""
        while True:
            try:
                if not self.socket.recv(65536):
                    return
            except ConnectionResetError:
                return


class Application:
    """Runs ``script`` for each transport connection that ``connect`` makes and a request comes on.

    ``requests`` counts those.
    """

    def __init__(self, script: Callable[[Accepted], object]) -> None:
        self.requests = 0
        self._script = script
        self._greenlets: list[gevent.Greenlet[..., None]] = []

    def connect(self) -> socket.socket:
        """One end of a new socket pair; the script has the other."""
        ours, theirs = gevent.socket.socketpair()
        self._greenlets.append(gevent.spawn(self._run, theirs))
        return ours

    @contextmanager
    def accepting(self, bound: gevent.socket.socket) -> Iterator[None]:
        """Run the script for every connection to a bound socket, which is closed in the end."""
        bound.listen()
        accepting = gevent.spawn(self._accept, bound)
        try:
            yield
        finally:
            accepting.kill()
            bound.close()

    def _accept(self, listener: gevent.socket.socket) -> None:
        while True:
            sock, _ = listener.accept()
            self._greenlets.append(gevent.spawn(self._run, sock))

    def _run(self, sock: gevent.socket.socket) -> None:
        with sock:
            try:
                request = Accepted(sock)
            except EOFError:
                return
            self.requests += 1
            self._script(request)

    def join(self) -> None:
        """Wait for the scripts of all connections; raises what one of them raised."""
        for greenlet in self._greenlets:
            greenlet.get()


def hello(request: Accepted) -> None:
    """A script: read the body, say how long it was."""
    body = b"".join(request.stdin())
    request.stdout(HEAD + f"hello {len(body)}\n".encode())
    request.end()


def refuse() -> socket.socket:
    """In the place of ``Application.connect``: nobody listens."""
    raise ConnectionRefusedError(111, "Connection refused")
