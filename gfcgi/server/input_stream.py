"""STDIN and DATA on their way from the transport connection to the application.

The connection feeds, the application reads, and there is a bound between them. On a connection with
one request, reading from the socket pauses at the bound, so that the kernel makes the Web server
wait. On a multiplexed connection the other requests need the socket; there the surplus goes to a
temporary file, which has a bound too.
"""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

from gevent.hub import Waiter, get_hub

from gfcgi import limits
from gfcgi.errors import RequestAborted
from gfcgi.server.spool import Spool
from gfcgi.unfailing_log import Log

if TYPE_CHECKING:
    from gfcgi.options import Options
    from gfcgi.protocol.events import Bytes

__all__ = ["InputStream", "StreamOwner"]

log = Log("gfcgi.server")


_SMALL_BYTES: Final = 512
"""Below it a piece is joined to the one before: an object of its own takes some 40 bytes more."""
_FEW_PIECES: Final = 16
"""So many pieces are not worth joining."""
_JOINED_BYTES: Final = 16 * limits.KIB
"""No more is joined to a piece that has so many: it is in memory until all of it was read."""
_HELD_BYTES: Final = 1
"""Of a body for which there is no application yet."""


_NO_PIECES: Final[deque[Bytes]] = deque()
"""Stands in each new stream: most have no body. Nothing is put in here."""


class StreamOwner(Protocol):
    """What a stream asks of its transport connection."""

    options: Options
    multiplexed: bool

    def pause_for(self, stream: InputStream) -> None:
        """Do not read on until ``stream`` has been read from."""

    def resume_from(self, stream: InputStream) -> None:
        """Read on, as far as ``stream`` is concerned."""

    def stream_waits(self, stream: InputStream, since: float) -> None:
        """The application began to wait for ``stream`` at a monotonic time, or goes on (0)."""


class InputStream:
    """One incoming stream of one request (§5.3)."""

    __slots__ = (
        "_error",
        "_error_status",
        "_most_bytes",
        "_offset",
        "_owner",
        "_pieces",
        "_spool",
        "_viewed",
        "_waiter",
        "ended",
        "memory_bytes",
        "received",
        "waiting_since",
    )

    def __init__(self, owner: StreamOwner) -> None:
        self._owner = owner
        self._most_bytes = owner.options.stdin_buffer_bytes
        """So many bytes in memory, and reading pauses."""
        self._pieces = _NO_PIECES
        self._offset = 0
        self._viewed = False
        """Whether pieces may be views of received buffers that are larger than they."""
        self.memory_bytes = 0
        """Bytes in memory that the application has not read. They take at most twice as many."""
        self.received = 0
        """Bytes that have come."""
        self._spool: Spool | None = None
        self._error: str | None = None
        self._error_status = ""
        self._waiter: Any = None
        self.ended = False
        self.waiting_since = 0.0
        """The monotonic time (seconds) when the application began to wait; 0 while it does not."""

    # -- the connection's side

    @property
    def window(self) -> int:
        """How many bytes may come before reading pauses; less than 1 where it has."""
        return self._most_bytes - self.memory_bytes

    @property
    def spooled_bytes(self) -> int:
        """Bytes in the temporary file that the application has not read."""
        return self._spool.left if self._spool is not None else 0

    @property
    def file_bytes(self) -> int:
        """Length of the temporary file, 0 where there is none."""
        return self._spool.size if self._spool is not None else 0

    @property
    def is_whole(self) -> bool:
        """Whether all that will ever come is in memory, as far as it has not been read."""
        return self.ended and self._spool is None and self._error is None

    def feed(self, data: Bytes) -> None:
        """Take what arrived; b"" is the stream's end. ``wake`` lets the application have it."""
        if not data:
            self.ended = True
            if self._most_bytes == _HELD_BYTES:
                self._owner.resume_from(self)  # so that a Web server that leaves is noticed
        elif self._error is None:
            self.received += len(data)
            owner = self._owner
            options = owner.options
            if self._spool is not None or (
                owner.multiplexed and self.memory_bytes >= options.multiplexed_buffer_bytes
            ):
                full = self._spool_to_disk(data)
            else:
                self._keep(data)
                self.memory_bytes += len(data)
                full = self.memory_bytes >= self._most_bytes and not owner.multiplexed
            if full:
                owner.pause_for(self)

    def hold_back(self) -> None:
        """Pause reading with the first byte, where the transport connection is not shared."""
        self._most_bytes = _HELD_BYTES

    def let_in(self) -> None:
        """Undo ``hold_back``."""
        self._most_bytes = self._owner.options.stdin_buffer_bytes
        if 0 < self.memory_bytes < self._most_bytes and not self._spool:
            self._owner.resume_from(self)

    def _keep(self, data: Bytes) -> None:
        """Keep bytes in memory; many small pieces become one."""
        pieces = self._pieces
        if pieces is _NO_PIECES:
            pieces = self._pieces = deque()
        if len(data) < _SMALL_BYTES and len(pieces) > _FEW_PIECES:
            last = pieces[-1]
            if type(last) is bytearray:
                if len(last) < _JOINED_BYTES:
                    last += data
                    return
            elif type(last) is bytes and len(last) < _SMALL_BYTES:
                pieces[-1] = bytearray(b"".join((last, data)))
                return
        elif type(data) is memoryview:
            self._viewed = True
        pieces.append(data)

    def _let_buffers_go(self) -> None:
        """Copy what keeps a much larger buffer in memory: the records around it are not wanted."""
        self._viewed = False
        pieces = self._pieces
        for index, piece in enumerate(pieces):
            if type(piece) is memoryview and 2 * len(piece) < memoryview(piece.obj).nbytes:
                pieces[index] = bytes(piece)

    def _spool_to_disk(self, data: Bytes) -> bool:
        """Append to the temporary file; return whether it may not grow any more."""
        try:
            if self._spool is None:
                self._spool = Spool()
            self._spool.write(data)
        except OSError as error:
            self._disk_failed("kept on", error, "507 Insufficient Storage")
            return False
        return self._spool.size >= self._owner.options.max_spool_bytes

    def _disk_failed(self, what: str, error: OSError, http_status: str) -> None:
        log.error("a request's body could not be %s disk: %s", what, error)
        # Its path is nothing for the client.
        reason = error.strerror or error
        self.fail(f"the request's body could not be {what} disk: {reason}", http_status)

    def fail(self, reason: str, http_status: str = "400 Bad Request") -> None:
        """Let every read from now on raise RequestAborted with ``reason``; drop what is here.

        ``http_status`` is that of the page for a Web server that still waits.
        """
        self._error = reason
        self._error_status = http_status
        if self.memory_bytes or self._spool is not None:
            # Only such a stream may have had reading paused.
            self._pieces.clear()
            self.memory_bytes = 0
            if self._spool is not None:
                self._spool.close()
                self._spool = None
            self._owner.resume_from(self)
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
        if self._viewed:
            self._let_buffers_go()

    # -- the application's side

    def check(self) -> None:
        """Raise RequestAborted if a read would, whatever is here."""
        if self._error is not None:
            raise RequestAborted(self._error, http_status=self._error_status)

    def read(self, most: int) -> Bytes:
        """Return 1 to ``most`` bytes, waiting for them; empty at the stream's end.

        Raises: RequestAborted.
        """
        while True:
            self.check()
            if self._pieces:
                return self._read_memory(most)
            if self._spool is not None:
                try:
                    return self._read_spool(self._spool, most)
                except OSError as error:
                    self._disk_failed("read from", error, "500 Internal Server Error")
                    continue
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
        self.memory_bytes -= len(piece)
        if self.memory_bytes < self._most_bytes and not self._spool:
            self._owner.resume_from(self)
        return piece

    def _read_spool(self, spool: Spool, most: int) -> bytes:
        piece = spool.read(most)
        if not spool.left:
            # The disk is free again; until then the file has only grown.
            spool.close()
            self._spool = None
            self._owner.resume_from(self)
        return piece

    def _wait(self) -> None:
        if self._waiter is not None:
            raise RuntimeError("another greenlet is reading this request's body")
        hub = get_hub()
        waiter = self._waiter = Waiter(hub)
        self.waiting_since = since = monotonic()
        self._owner.stream_waits(self, since)
        try:
            waiter.get()
        finally:
            self._waiter = None
            self.waiting_since = 0.0
            self._owner.stream_waits(self, 0.0)
