"""STDIN and DATA on their way from the transport connection to the application.

The connection feeds, the application reads. Between them stands a bound: on a connection with one
request, reading from the socket pauses, so that the kernel makes the Web server wait; on a
multiplexed one, where others need the socket, the surplus goes to a temporary file, which has a
bound too.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import IO, TYPE_CHECKING, Any, Protocol

from gevent.hub import Waiter, get_hub

from gfcgi.errors import RequestAborted

if TYPE_CHECKING:
    from gfcgi.options import Options
    from gfcgi.protocol.events import Bytes

__all__ = ["InputStream"]

log = logging.getLogger("gfcgi.server")


class Reader(Protocol):
    """What a stream asks of its transport connection."""

    options: Options
    multiplexed: bool

    def pause_for(self, stream: InputStream) -> None: ...

    def resume_from(self, stream: InputStream) -> None: ...


class InputStream:
    """One incoming stream of one request (§5.3)."""

    __slots__ = (
        "_connection",
        "_error",
        "_memory_bytes",
        "_offset",
        "_pieces",
        "_spool",
        "_waiter",
        "ended",
        "waiting_since",
    )

    def __init__(self, connection: Reader) -> None:
        self._connection = connection
        self._pieces: deque[Bytes] = deque()
        self._offset = 0
        self._memory_bytes = 0
        self._spool: _Spool | None = None
        self._error: str | None = None
        self._waiter: Any = None
        self.ended = False
        self.waiting_since = 0.0
        """The loop's clock (seconds) when the application began to wait; 0 while it does not."""

    # -- the connection's side

    @property
    def room(self) -> int:
        """How many bytes may come before reading pauses; less than 1 where it has."""
        return self._connection.options.stdin_buffer_bytes - self._memory_bytes

    def feed(self, data: Bytes) -> None:
        """Take what arrived; b"" is the stream's end. ``wake`` lets the application have it."""
        if not data:
            self.ended = True
        elif self._error is None:
            connection = self._connection
            options = connection.options
            if self._spool is not None or (
                connection.multiplexed and self._memory_bytes >= options.multiplexed_buffer_bytes
            ):
                full = self._spool_to_disk(data)
            else:
                self._pieces.append(data)
                self._memory_bytes += len(data)
                full = (
                    self._memory_bytes >= options.stdin_buffer_bytes and not connection.multiplexed
                )
            if full:
                connection.pause_for(self)

    def _spool_to_disk(self, data: Bytes) -> bool:
        """Append to the temporary file; return whether it may not grow any more."""
        try:
            if self._spool is None:
                self._spool = _Spool()
            self._spool.write(data)
        except OSError as error:
            log.error("a request's body could not be kept on disk: %s", error)
            self.fail(f"the request's body could not be kept on disk: {error}")
            return False
        return self._spool.size >= self._connection.options.max_spool_bytes

    def fail(self, reason: str) -> None:
        """Let every read from now on raise RequestAborted with ``reason``; drop what is here."""
        self._error = reason
        self._pieces.clear()
        self._memory_bytes = 0
        if self._spool is not None:
            self._spool.close()
            self._spool = None
        self._connection.resume_from(self)
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            get_hub().loop.run_callback(waiter.switch, None)

    def wake(self) -> None:
        """Run the application if it waits, until it waits again; called in the hub."""
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            waiter.switch(None)

    # -- the application's side

    def read(self, most: int) -> Bytes:
        """Return 1 to ``most`` bytes, waiting for them; empty at the stream's end.

        Raises: RequestAborted.
        """
        while True:
            if self._error is not None:
                raise RequestAborted(self._error)
            if self._pieces:
                return self._read_memory(most)
            if self._spool is not None:
                return self._read_spool(self._spool, most)
            if self.ended:
                return b""
            self._wait()

    def _read_memory(self, most: int) -> Bytes:
        piece = self._pieces[0]
        start = self._offset
        if len(piece) - start > most:
            self._offset = start + most
            piece = piece[start : start + most]
        else:
            self._pieces.popleft()
            if start:
                piece = piece[start:]
                self._offset = 0
        self._memory_bytes -= len(piece)
        if self._memory_bytes < self._connection.options.stdin_buffer_bytes and not self._spool:
            self._connection.resume_from(self)
        return piece

    def _read_spool(self, spool: _Spool, most: int) -> bytes:
        piece = spool.read(most)
        if not spool.left:
            # The disk is free again; until then the file has only grown.
            spool.close()
            self._spool = None
            self._connection.resume_from(self)
        return piece

    def _wait(self) -> None:
        if self._waiter is not None:
            raise RuntimeError("another greenlet is reading this request's body")
        hub = get_hub()
        waiter = self._waiter = Waiter(hub)
        self.waiting_since = hub.loop.now()
        try:
            waiter.get()
        finally:
            self._waiter = None
            self.waiting_since = 0.0


class _Spool:
    """Bytes in a temporary file, first in, first out; ``size`` is the file's."""

    __slots__ = ("_file", "_read_at", "size")

    def __init__(self) -> None:
        import tempfile  # most processes spool nothing, and it brings shutil and random with it

        self._file: IO[bytes] = tempfile.TemporaryFile(  # noqa: SIM115 - closed by close()
            prefix="gfcgi-"
        )
        self._read_at = 0
        self.size = 0

    @property
    def left(self) -> int:
        """Bytes that were not read yet."""
        return self.size - self._read_at

    def write(self, data: Bytes) -> None:
        self._file.seek(self.size)
        self.size += self._file.write(data)

    def read(self, most: int) -> bytes:
        self._file.seek(self._read_at)
        piece = self._file.read(min(most, self.left))
        self._read_at += len(piece)
        return piece

    def close(self) -> None:
        self._file.close()
