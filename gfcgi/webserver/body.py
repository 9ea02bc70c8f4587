"""The body of an HTTP request, read as it comes, and the HTTP client's leaving.

gevent's pywsgi parses the HTTP. What it gives to an application as ``wsgi.input`` waits until all
the bytes that were asked for are there; a Web server hands on what has come.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final

import gevent
import gevent.event
import gevent.queue

from gfcgi import limits

__all__ = ["LINGER_SECONDS", "BrokenBody", "HttpClientGone", "RequestBody"]

LINGER_SECONDS: Final = 30.0
"""How long the rest of a body is read and dropped after the response. Closing at once would reset
the connection, and the HTTP client, which still sends, would not see its response; nginx's default
for the same."""


class HttpClientGone(ConnectionError):
    """The HTTP client closed its connection; nobody wants the response."""


class BrokenBody(ValueError):
    """The body's chunked coding is wrong (RFC 9112 §7.1)."""


class RequestBody:
    """The body of one HTTP request, to be iterated once, and then a look-out for the end.

    One greenlet reads the HTTP connection from ``start`` until the next request: first the body, a
    piece ahead of who iterates, then for nothing but its closing. A client that shuts down only
    its sending side is taken to have left, as by nginx.

    ``http_input`` is pywsgi's own input; ``rfile`` the buffered file over ``sock``.
    """

    def __init__(
        self,
        http_input: Any,
        rfile: Any,
        sock: socket.socket,
        *,
        expect_continue: bool,
        max_drain_bytes: int = limits.MAX_DRAIN_BYTES,
        linger_seconds: float = LINGER_SECONDS,
    ) -> None:
        self.keep_alive = True
        self._input = http_input
        self._rfile: BinaryIO = rfile
        self._socket = sock
        self._expect_continue = expect_continue
        self._drain_bytes_left = max_drain_bytes
        self._linger_seconds = linger_seconds
        self._pieces_ahead: gevent.queue.Queue[bytes | None] = gevent.queue.Queue(1)
        self._reader: gevent.Greenlet[[], None] | None = None
        self._on_broken: Callable[[Exception], None] | None = None
        self._discarding = False
        self._empty = not (http_input.chunked_input or http_input.content_length)
        self._complete = self._empty
        self._over = gevent.event.Event()

    def start(self, on_broken: Callable[[Exception], None]) -> None:
        """Begin to read. ``on_broken`` is called with HttpClientGone or BrokenBody, at any time
        until ``finish``, from another greenlet.

        Raises: HttpClientGone.
        """
        self._on_broken = on_broken
        try:
            # Answers "Expect: 100-continue", here where no response can have been sent yet.
            self._input.read(0)
        except OSError as error:
            raise HttpClientGone(f"the HTTP client left: {error}") from error
        self._reader = gevent.spawn(self._read)

    def __iter__(self) -> Iterator[bytes]:
        if self._empty:
            return
        while (piece := self._pieces_ahead.get()) is not None:
            yield piece

    def abandon(self) -> None:
        """Have the HTTP connection closed as soon as possible instead of reading on."""
        self.keep_alive = False

    def finish(self) -> None:
        """Stop reading; what is left of the body is dropped, within bounds of bytes and time.

        ``keep_alive`` then says whether another request can follow on the HTTP connection.
        """
        self._on_broken = None
        self._discarding = True
        if not self._complete and self.keep_alive:
            if self._reader is None and self._expect_continue:
                # It may send the body or not: we cannot tell where the next request starts.
                self.keep_alive = False
            else:
                self._drain()
        if self._reader is not None:
            self._reader.kill()

    # pywsgi calls this on its input after every response.
    _discard = finish

    def _drain(self) -> None:
        if self._reader is None:
            self._reader = gevent.spawn(self._read)
        elif not self._pieces_ahead.empty():
            self._pieces_ahead.get_nowait()  # where the reader may wait for room
        self._over.wait(self._linger_seconds)
        self.keep_alive = self._complete

    def _read(self) -> None:
        try:
            if not self._empty:
                for piece in self._pieces():
                    if not self._discarding:
                        self._pieces_ahead.put(piece)
                    self._drain_bytes_left -= len(piece) if self._discarding else 0
                    if self._drain_bytes_left < 0:
                        return
                self._complete = True
                if not self._discarding:
                    self._pieces_ahead.put(None)
            self._over.set()
            # A pipelined request shows that its sender is there, and ends the look-out.
            if not self._socket.recv(1, socket.MSG_PEEK):
                raise HttpClientGone("the HTTP client closed its connection")
        except BrokenBody as error:
            self._broken(error)
        except OSError as error:
            gone = HttpClientGone(f"the HTTP client left: {error}")
            self._broken(error if isinstance(error, HttpClientGone) else gone)
        finally:
            self._over.set()

    def _broken(self, error: Exception) -> None:
        if self._on_broken is not None:
            self._on_broken(error)

    def _pieces(self) -> Iterator[bytes]:
        if self._input.chunked_input:
            yield from self._chunked_pieces()
            return
        left = self._input.content_length
        while left:
            piece = self._rfile.read1(min(left, limits.RECV_BYTES))  # type: ignore[attr-defined]
            if not piece:
                raise HttpClientGone("the HTTP client left in the middle of its body")
            left -= len(piece)
            yield piece

    def _chunked_pieces(self) -> Iterator[bytes]:
        body = self._input
        try:
            while piece := body.read(1):
                # The rest of the chunk, as far as it is there already: read() would wait for more.
                left_in_chunk = body.chunk_length - body.position
                if left_in_chunk > 0:
                    there = len(self._rfile.peek(1))  # type: ignore[attr-defined]
                    piece += body.read(min(left_in_chunk, there))
                yield piece
        except OSError as error:
            # pywsgi's own, for a wrong chunk as for an end within one.
            raise BrokenBody(f"the request body's chunked coding is broken: {error}") from error
