"""One request as the gateway sees it, over its transport connection."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gevent.event import Event

from gfcgi import limits
from gfcgi.errors import RequestAborted
from gfcgi.protocol.records import PADDED_CONTENT_BYTES, Role
from gfcgi.server.streams import InputStream
from gfcgi.wsgi.webservers import falls_over_lone_stderr

if TYPE_CHECKING:
    import greenlet

    from gfcgi.protocol.events import BeginRequest, Bytes
    from gfcgi.server.connection import Connection

__all__ = ["ServerRequest"]

log = logging.getLogger("gfcgi.server")

_AUTHORIZER, _FILTER = int(Role.AUTHORIZER), int(Role.FILTER)

_PIECE_BYTES = 8 * PADDED_CONTENT_BYTES
"""Written without letting go of the transport connection, where other requests may wait for it."""


class ServerRequest:
    """Implements ``gfcgi.wsgi.request.Request``."""

    __slots__ = (
        "_connection",
        "aborted",
        "data",
        "ended",
        "greenlet",
        "held_errors",
        "params",
        "repeated",
        "request_id",
        "role",
        "stdin",
        "timed_out",
    )

    def __init__(self, connection: Connection, begin: BeginRequest) -> None:
        self._connection = connection
        self.request_id = begin.request_id
        self.role = begin.role
        self.params = begin.params
        self.repeated = begin.repeated
        self.stdin = InputStream(connection)
        self.data = InputStream(connection) if begin.role == _FILTER else None
        if begin.role == _AUTHORIZER:
            self.stdin.ended = True
        self.aborted = Event()
        self.timed_out = False
        self.held_errors = b""
        """Bytes of STDERR that wait for STDOUT to go with."""
        self.ended = False
        """Whether END_REQUEST was sent, or never will be."""
        self.greenlet: greenlet.greenlet | None = None
        """Where the application runs, while it does."""

    def write(self, data: Bytes) -> None:
        """Send bytes of STDOUT. May switch greenlets. Raises: RequestAborted."""
        output = self._connection.output
        if len(data) <= _PIECE_BYTES:
            output.write(self, data)
            return
        view = memoryview(data)
        for start in range(0, len(view), _PIECE_BYTES):
            output.write(self, view[start : start + _PIECE_BYTES])

    def write_error(self, data: Bytes) -> None:
        """Send bytes of STDERR, at once or with the next of STDOUT, as ``options.stderr`` says.

        May switch greenlets. Raises: RequestAborted.
        """
        if self._holds_errors():
            self.check()
            held = self.held_errors + data
            self.held_errors = held[: limits.HELD_STDERR_BYTES]
            if len(held) > limits.HELD_STDERR_BYTES:
                rest = held[limits.HELD_STDERR_BYTES :].decode("utf-8", "replace")
                log.warning("too much error output to wait for the response: %s", rest.rstrip())
        else:
            self._connection.output.write_error(self, data)

    def _holds_errors(self) -> bool:
        way = self._connection.options.stderr
        if way != "auto":
            return way == "with-stdout"
        return falls_over_lone_stderr(self.params)

    def send_file(self, fileno: int, offset: int, count: int) -> None:
        """Send bytes of a regular file as STDOUT; the kernel copies them.

        May switch greenlets. Raises: RequestAborted; OSError if the file cannot be read.
        """
        end = offset + count
        while offset < end:
            length = min(PADDED_CONTENT_BYTES, end - offset)
            self._connection.output.write_file(self, fileno, offset, length)
            offset += length

    def finish(self, data: Bytes = b"", app_status: int = 0) -> None:
        """Send the last of STDOUT and END_REQUEST. May switch greenlets. Raises: RequestAborted."""
        if len(data) > _PIECE_BYTES:
            view = memoryview(data)
            last = len(view) - (len(view) % _PIECE_BYTES or _PIECE_BYTES)
            self.write(view[:last])
            data = view[last:]
        self._connection.end(self, data, app_status)

    def check(self) -> None:
        """Raise RequestAborted if nothing can be sent any more."""
        if self.ended:
            reason = "the Web server has given the request up"
            raise RequestAborted(reason if self.aborted.is_set() else "the request has ended")

    def over(self) -> None:
        """Let go of what the application had: nothing is to wait for the garbage collector."""
        self.greenlet = None
        # They are its environ, whose streams lead back here.
        self.params = {}

    def kill(self) -> None:
        """Raise GreenletExit where the application is; called in the hub."""
        if self.greenlet is not None:
            self.greenlet.throw()

    @property
    def room(self) -> int:
        """How many bytes of body may still be read ahead of the application."""
        return self.stdin.room if self.data is None else min(self.stdin.room, self.data.room)

    @property
    def waiting_since(self) -> float:
        """The loop's clock (seconds) when the application began to wait for a stream, or 0."""
        return self.stdin.waiting_since or (self.data.waiting_since if self.data else 0.0)

    def time_out(self, reason: str) -> None:
        """Let the application's reads fail, with the Web server still there for an answer."""
        self.timed_out = True
        self._fail_streams(reason)

    def abort(self, reason: str) -> None:
        """Tell the application, at its next read or write, that nobody waits for it (§5.4)."""
        self.ended = True
        self.aborted.set()
        self._fail_streams(reason)

    def discard_input(self) -> None:
        """Drop what was not read: the request is over."""
        self._fail_streams("the request has ended")

    def _fail_streams(self, reason: str) -> None:
        self.stdin.fail(reason)
        if self.data is not None:
            self.data.fail(reason)
