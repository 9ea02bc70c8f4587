"""The body of an HTTP request, read as it comes, and the end of the HTTP connection.

A Web server passes the bytes on that have come, and does not wait for more.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final

import gevent
import gevent.event
import gevent.queue

from gfcgi import limits
from gfcgi.client.http_head import BadRequest, read_chunk_size, read_trailers

__all__ = ["LINGER_SECONDS", "BrokenBody", "HttpClientGone", "RequestBody", "StalledBody"]

LINGER_SECONDS: Final = 30.0
"""How long the rest of a body is read and dropped after the response. A close at once would reset
the connection, and an HTTP client that still sends would not see its response. nginx has the same
default."""

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class HttpClientGone(ConnectionError):
    """The HTTP client closed its connection, so nobody waits for the response."""


class BrokenBody(ValueError):
    """The body's chunked coding is wrong (RFC 9112 §7.1). ``status`` is that of the answer."""

    status = "400 Bad Request"


class StalledBody(BrokenBody):
    """The rest of the body does not come."""

    status = "408 Request Timeout"


class RequestBody:
    """The body of one HTTP request; iterate it once.

    One greenlet reads the HTTP connection from ``start`` until the next request. First it reads the
    body, one piece ahead of the iteration. Then it waits for the client to close the connection. A
    client that shuts down its sending side only counts as gone, as it does for nginx.

    ``content_length`` and ``chunked`` are those of its RequestHead, and ``rfile`` is the buffered
    file over ``sock``. ``expect_continue``: the client waits for an interim answer.
    """

    def __init__(
        self,
        rfile: Any,
        sock: socket.socket,
        *,
        content_length: int | None,
        chunked: bool,
        expect_continue: bool,
        max_drain_bytes: int = limits.MAX_DRAIN_BYTES,
        linger_seconds: float = LINGER_SECONDS,
    ) -> None:
        self.keep_alive = True
        self.broken = False
        self._chunked = chunked
        self._content_length = content_length or 0
        self._rfile: BinaryIO = rfile
        self._socket = sock
        self._expect_continue = expect_continue
        self._drain_bytes_left = max_drain_bytes
        self._linger_seconds = linger_seconds
        self._pieces_ahead: gevent.queue.Queue[bytes | None] = gevent.queue.Queue(1)
        self._reader: gevent.Greenlet[[], None] | None = None
        self._on_broken: Callable[[Exception], None] | None = None
        self._discarding = False
        self._empty = not (chunked or content_length)
        self._complete = self._empty
        self._over = gevent.event.Event()

    def start(self, on_broken: Callable[[Exception], None]) -> None:
        """Begin to read. Until ``finish``, another greenlet may call ``on_broken`` with
        HttpClientGone or BrokenBody.

        Raises: HttpClientGone.
        """
        self._on_broken = on_broken
        try:
            if self._expect_continue and not self._empty:
                self._socket.sendall(CONTINUE)  # no response can have been sent before
        except OSError as error:
            raise HttpClientGone(f"the HTTP client left: {error}") from error
        self._reader = gevent.spawn(self._read)

    def __iter__(self) -> Iterator[bytes]:
        if self._empty:
            return
        while (piece := self._pieces_ahead.get()) is not None:
            yield piece

    @property
    def closes(self) -> bool:
        """Whether no other request can follow, as far as is known before the response."""
        waits = self._expect_continue and self._reader is None and not self._complete
        return waits or not self.keep_alive

    def abandon(self) -> None:
        """Do not read on: the HTTP connection is closed as soon as possible."""
        self.keep_alive = False

    def finish(self) -> None:
        """Stop reading. Drop the rest of the body, up to a number of bytes and a time.

        Afterwards ``keep_alive`` says whether another request can follow on the HTTP connection.
        """
        self._on_broken = None
        self._discarding = True
        if not self._complete and self.keep_alive:
            if self._reader is None and self._expect_continue:
                # Nobody knows whether it sends the body, so where the next request begins.
                self.keep_alive = False
            else:
                self._drain()
        if self._reader is not None:
            self._reader.kill()

    def _drain(self) -> None:
        if self._reader is None:
            self._reader = gevent.spawn(self._read)
        elif not self._pieces_ahead.empty():
            self._pieces_ahead.get_nowait()  # the reader may wait for a free place
        self._over.wait(self._linger_seconds)
        self.keep_alive = self._complete

    def _read(self) -> None:
        try:
            if not self._empty:
                pieces = self._pieces()
                while piece := self._next_piece(pieces):
                    if not self._discarding:
                        self._pieces_ahead.put(piece)
                    self._drain_bytes_left -= len(piece) if self._discarding else 0
                    if self._drain_bytes_left < 0:
                        return
                self._complete = True
                if not self._discarding:
                    self._pieces_ahead.put(None)
            self._over.set()
            # A pipelined request shows that the client is still there; then the watch ends.
            if not self._socket.recv(1, socket.MSG_PEEK):
                raise HttpClientGone("the HTTP client closed its connection")
        except EOFError as error:
            self._broken(HttpClientGone(f"the HTTP client left: {error}"))
        except BadRequest as error:
            self.broken = True
            self._broken(BrokenBody(f"the request body's chunked coding is broken: {error}"))
        except StalledBody as error:
            self.broken = True
            self._broken(error)
        except OSError as error:
            gone = HttpClientGone(f"the HTTP client left: {error}")
            self._broken(error if isinstance(error, HttpClientGone) else gone)
        finally:
            self._over.set()

    def _broken(self, error: Exception) -> None:
        if self._on_broken is not None:
            self._on_broken(error)

    def _next_piece(self, pieces: Iterator[bytes]) -> bytes:
        seconds = limits.HTTP_BODY_SECONDS
        late = StalledBody(f"nothing of the request's body came within {seconds:g} seconds")
        with gevent.Timeout(seconds, late):
            return next(pieces, b"")

    def _pieces(self) -> Iterator[bytes]:
        """Yield the body as it comes. Raises: BadRequest, EOFError, OSError."""
        if not self._chunked:
            yield from self._next_bytes(self._content_length)
            return
        while size := read_chunk_size(self._rfile):
            yield from self._next_bytes(size)
            for expected in (b"\r", b"\n"):
                end = self._rfile.read(1)
                if not end:
                    raise EOFError("the connection ended within a chunk")
                if end != expected:
                    raise BadRequest(f"{end!r} follows a chunk instead of its end")
        read_trailers(self._rfile)

    def _next_bytes(self, left: int) -> Iterator[bytes]:
        while left:
            piece = self._rfile.read1(min(left, limits.RECV_BYTES))  # type: ignore[attr-defined]
            if not piece:
                raise EOFError("the connection ended within the body")
            left -= len(piece)
            yield piece
