"""One request as the gateway sees it, over its transport connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import greenlet
from gevent.event import Event

from gfcgi import limits
from gfcgi.errors import RequestAborted
from gfcgi.protocol import Stderr
from gfcgi.protocol.records import PADDED_CONTENT_BYTES, Role
from gfcgi.server.input_stream import InputStream, StreamOwner
from gfcgi.unfailing_log import Log
from gfcgi.wsgi.observed import Observed
from gfcgi.wsgi.webserver_quirks import (
    ABORT,
    CLOSE,
    END,
    falls_over_lone_stderr,
    stopping_status,
    way_to_cut,
)

if TYPE_CHECKING:
    from gfcgi.protocol import ApplicationConnection
    from gfcgi.protocol.events import BeginRequest, Bytes
    from gfcgi.server.output import Output

__all__ = ["RequestOwner", "ServerRequest"]

log = Log("gfcgi.server")

_AUTHORIZER, _FILTER = int(Role.AUTHORIZER), int(Role.FILTER)

_HEAD_BYTES: Final = 4096
"""Bytes of a response that are kept, in which to look for a Content-Length."""

_PIECE_BYTES = 8 * PADDED_CONTENT_BYTES
"""The most that is written at once; then other requests of the connection have a turn."""


class RequestOwner(StreamOwner, Protocol):
    """What a request asks of its transport connection."""

    def request_ending(self, request_id: int) -> None:
        """Forget a request: its END_REQUEST is written next. The output's lock is held."""

    def request_ended(self) -> None:
        """Go on after a request: its END_REQUEST was written, or could not be written."""

    @property
    def shared(self) -> bool:
        """Whether several requests are active on the connection."""

    def request_cut(self) -> None:
        """Close: a response was cut. The output's lock is held."""

    def request_cut_beside_others(self, request_id: int) -> None:
        """Close when the other requests are done: a response was cut."""


class ServerRequest:
    """Implements ``gfcgi.wsgi.request.Request``.

    It makes its own records, with the lock of ``output`` held.
    """

    __slots__ = (
        "_core",
        "_ender",
        "_first",
        "_late",
        "_output",
        "_owner",
        "aborted",
        "data",
        "ended",
        "keep_conn",
        "observed",
        "params",
        "pending_stderr",
        "protocol_status",
        "repeated",
        "request_id",
        "role",
        "sends_file",
        "stdin",
        "timed_out",
    )

    def __init__(
        self,
        begin: BeginRequest,
        core: ApplicationConnection,
        output: Output,
        owner: RequestOwner,
    ) -> None:
        self._core = core
        self._output = output
        self._owner = owner
        self.request_id = begin.request_id
        self.role = begin.role
        self.keep_conn = begin.keep_conn
        self.params = begin.params
        self.repeated = begin.repeated
        self.stdin = InputStream(owner)
        self.data = InputStream(owner) if begin.role == _FILTER else None
        if begin.role == _AUTHORIZER:
            self.stdin.ended = True
        self.aborted = Event()
        self.timed_out = False
        self.pending_stderr = b""
        """Bytes of STDERR that wait for bytes of STDOUT, to leave together with them."""
        self.protocol_status = 0
        """That of END_REQUEST: REQUEST_COMPLETE, or what tells a Web server that we stop."""
        self.ended = False
        """Whether END_REQUEST was sent, or never will be."""
        self.sends_file = False
        """Whether records with bytes of a file are being sent."""
        self._first = b""
        """The first bytes of STDOUT that were sent before the last ones."""
        self._late = ""
        """Why the application may send nothing any more, if it has run for too long."""
        self._ender: Any = None
        """The greenlet that ends the request in the application's place."""
        self.observed: Observed | None = None
        """What counts the response, if anybody wants to know."""

    # -- the application's side

    def write(self, data: Bytes) -> None:
        """Send bytes of STDOUT. May switch greenlets. Raises: RequestAborted."""
        if len(data) <= _PIECE_BYTES:
            self._write_piece(data)
            return
        view = memoryview(data)
        for start in range(0, len(view), _PIECE_BYTES):
            self._write_piece(view[start : start + _PIECE_BYTES])

    def _write_piece(self, data: Bytes) -> None:
        output = self._output
        with output.lock:
            self.check()
            if not self._first:
                self._first = bytes(data[:_HEAD_BYTES])
            pending = self._take_pending_stderr()
            buffers = self._core.send_stdout(self.request_id, data)
            output.send(pending + buffers if pending else buffers)
        if self.observed is not None:
            self.observed.count(data)
        output.give_way()

    def write_error(self, data: Bytes) -> None:
        """Send bytes of STDERR, at once or with the next of STDOUT, as ``options.stderr`` says.

        May switch greenlets. Raises: RequestAborted.
        """
        if self._stderr_waits():
            self.check()
            pending = self.pending_stderr + data
            self.pending_stderr = pending[: limits.PENDING_STDERR_BYTES]
            if len(pending) > limits.PENDING_STDERR_BYTES:
                rest = pending[limits.PENDING_STDERR_BYTES :].decode("utf-8", "replace")
                log.warning("too much error output to wait for the response: %s", rest.rstrip())
            return
        output = self._output
        with output.lock:
            self.check()
            output.send(self._core.send(Stderr(self.request_id, data)))

    def _stderr_waits(self) -> bool:
        """Whether bytes of STDERR must leave together with bytes of STDOUT."""
        way = self._owner.options.stderr
        if way != "auto":
            return way == "with-stdout"
        return falls_over_lone_stderr(self.params)

    def _take_pending_stderr(self) -> list[Bytes]:
        """Return records with the pending bytes of STDERR. The output's lock is held."""
        if not self.pending_stderr:
            return []
        pending, self.pending_stderr = self.pending_stderr, b""
        return self._core.send(Stderr(self.request_id, pending))

    def _log_pending_stderr(self) -> None:
        """Log the pending bytes of STDERR: there is no STDOUT any more that they could go with."""
        if self.pending_stderr:
            rest, self.pending_stderr = self.pending_stderr.decode("utf-8", "replace"), b""
            log.warning("error output that could not go with the response: %s", rest.rstrip())

    def send_file(self, fileno: int, offset: int, count: int) -> None:
        """Send bytes of a regular file as STDOUT; the kernel copies them.

        May switch greenlets. Raises: RequestAborted; OSError if the file cannot be read.
        """
        self.sends_file = True
        try:
            self._send_file(fileno, offset, offset + count)
        finally:
            self.sends_file = False

    def _send_file(self, fileno: int, offset: int, end: int) -> None:
        output = self._output
        while offset < end:
            length = min(PADDED_CONTENT_BYTES, end - offset)
            with output.lock:
                self.check()
                pending = self._take_pending_stderr()
                header, padding = self._core.send_stdout_header(self.request_id, length)
                output.send_file([*pending, header], fileno, offset, length, padding)
            if self.observed is not None:
                self.observed.sent += length
            output.give_way()
            offset += length

    def finish(self, data: Bytes = b"", app_status: int = 0) -> None:
        """Send the last of STDOUT and END_REQUEST (§5.5).

        May switch greenlets. Raises: RequestAborted.
        """
        if len(data) > _PIECE_BYTES:
            view = memoryview(data)
            last = len(view) - (len(view) % _PIECE_BYTES or _PIECE_BYTES)
            self.write(view[:last])
            data = view[last:]
        output = self._output
        with output.lock:
            if self.ended:
                self.check()
            self.ended = True
            self._owner.request_ending(self.request_id)
            pending = self._take_pending_stderr() if self.pending_stderr else None
            buffers = self._core.send_end(
                self.request_id,
                data,
                app_status=app_status,
                protocol_status=self.protocol_status,
            )
            try:
                output.send(pending + buffers if pending else buffers)
                if self.observed is not None:
                    self.observed.count(data)
            finally:
                self._fail_streams("the request has ended")
                self._owner.request_ended()

    def cut(self, way: str) -> None:
        """End a response that is not whole in one of the ways of ``wsgi.webserver_quirks``.

        May switch greenlets. Raises: RequestAborted.
        """
        if self.observed is not None:
            self.observed.cut = True
        self._cut(way, leads_elsewhere=stopping_status(self.params) != 0)

    def _cut(self, way: str, *, leads_elsewhere: bool) -> None:
        """Cut. ``leads_elsewhere``: an answer can have the Web server use another connection."""
        output = self._output
        with output.lock:
            shared = self._owner.shared
            if self._owner.multiplexed and way == CLOSE and leads_elsewhere:
                # The others go on, and the Web server puts no more of them here.
                self.check()
                self.ended = True
                self._owner.request_ending(self.request_id)
                self._log_pending_stderr()
                self._fail_streams("the request has ended")
                self._owner.request_cut_beside_others(self.request_id)
                return
            if way != END and not shared:
                self.check()
                self.ended = True
                self._owner.request_ending(self.request_id)
                self._log_pending_stderr()
                abort = self._core.send_abort(self.request_id)
                try:
                    if way == ABORT:
                        output.send(abort)
                finally:
                    self._fail_streams("the request has ended")
                    self._owner.request_cut()
                return
        self.finish(app_status=1)

    def give_way(self) -> None:
        """Let others have a turn. May switch greenlets. Raises: RequestAborted."""
        self._output.give_way()
        self.check()

    def check(self) -> None:
        """Raise RequestAborted if nothing can be sent any more."""
        if self.ended and (self._ender is None or self._ender is not greenlet.getcurrent()):
            reason = "the Web server has given the request up"
            if self._late or not self.aborted.is_set():
                reason = self._late or "the request has ended"
            raise RequestAborted(reason)

    # -- the connection's and the runner's side

    @property
    def window(self) -> int:
        """How many bytes of body may still be read ahead of the application."""
        if self.data is None:
            return self.stdin.window
        return min(self.stdin.window, self.data.window)

    @property
    def whole(self) -> bool:
        """Whether the ends of all its streams have come."""
        return self.stdin.ended and (self.data is None or self.data.ended)

    @property
    def waiting_since(self) -> float:
        """The monotonic time (seconds) when the application began to wait for a stream, or 0."""
        return self.stdin.waiting_since or (self.data.waiting_since if self.data else 0.0)

    def hold_back(self) -> None:
        """Take as little as can be of the body: the application does not have the request yet."""
        self.stdin.hold_back()
        if self.data is not None:
            self.data.hold_back()

    def let_in(self) -> None:
        """The application gets the request: what was held back may come."""
        self.stdin.let_in()
        if self.data is not None:
            self.data.let_in()

    def time_out(self, reason: str) -> None:
        """Make the application's reads fail; the Web server is still there for an answer."""
        self.timed_out = True
        self._fail_streams(reason)

    @property
    def timed(self) -> ServerRequest:
        """Itself; a thread's request has the one that it stands for."""
        return self

    def expire(self, reason: str) -> str:
        """Have the application's next read or write fail: it has run for too long.

        Return what ``end_late`` sends; "" if the request has ended, or is being ended, already.
        """
        over, self.ended = self.ended, True
        self._late = reason
        if self.observed is not None:
            self.observed.expired = True
        self.aborted.set()
        self._fail_streams(reason)
        if over:
            return ""
        return "a response that is cut" if self._first else "504"

    def end_late(self, page: bytes) -> None:
        """End a request that has expired: with ``page``, or by cutting what was sent.

        May switch greenlets. Raises: RequestAborted.
        """
        self._ender = greenlet.getcurrent()
        # When the lock is free the application may have returned, and its params be gone.
        head, _, _ = self._first.partition(b"\r\n\r\n")
        way = way_to_cut(
            str(self.params.get("gfcgi.webserver", "")),
            keep_conn=self.keep_conn,
            length_sent=b"\r\ncontent-length:" in b"\r\n" + head.lower(),
        )
        leads_elsewhere = stopping_status(self.params) != 0
        if self._first and self.observed is not None:
            self.observed.cut = True
        with self._output.lock:
            self.check()  # whatever the application has been sending is whole now
        if self._first:
            self._cut(way, leads_elsewhere=leads_elsewhere)
        else:
            self.finish(page, 1)

    def abort(self, reason: str) -> None:
        """Make the application's next read or write fail: nobody waits for its answer (§5.4)."""
        self.ended = True
        self._ender = None
        if self.observed is not None:
            if self._first:
                self.observed.cut = True
            else:
                self.observed.expired = False
        self.aborted.set()
        self._fail_streams(reason)

    def release(self) -> None:
        """Drop what the application had, so that nothing of it waits for the garbage collector."""
        # They are the application's environ, and the streams in it refer to this request.
        self.params = {}

    def _fail_streams(self, reason: str) -> None:
        self.stdin.fail(reason)
        if self.data is not None:
            self.data.fail(reason)
