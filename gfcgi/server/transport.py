"""A connected, non-blocking socket that waits by switching to gevent's hub.

It is leaner than ``gevent.socket``, which makes two watchers and a mixin for every accepted socket.
All that is needed here is one callback that reads, and one greenlet at a time that writes.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from gevent.hub import get_hub
from gevent.monkey import get_original

from gfcgi.addresses import TCPAddress
from gfcgi.sockets import peer_credentials

if TYPE_CHECKING:
    from gfcgi.protocol.events import Bytes

__all__ = ["Transport", "Turn"]

_READ, _WRITE = 1, 2
_POLLIN: Final = select.POLLIN
_POLLOUT: Final = select.POLLOUT
_POLLRDHUP: Final = getattr(select, "POLLRDHUP", 0)
_poll: Any = get_original("select", "poll")
_thread: Any = get_original("_thread", "get_ident")

_BUFFERS_PER_CALL: Final = 512
"""Below the kernel's IOV_MAX (1024)."""

_TURN_SECONDS: Final = 0.005
"""How long a response may keep the loop without a wait: Python's own switch interval."""


def _ignore(since: float) -> None:
    """The ``on_wait`` of whoever does not mind, or is closed."""


class Turn:
    """How long a piece of work has kept the loop from going on."""

    __slots__ = ("_began", "_hub", "_now")

    def __init__(self) -> None:
        self._hub: Any = get_hub()
        self._now = self._began = 0.0

    def give_way(self) -> None:
        """Let the others have their turn, if the loop has had none for long.

        Does nothing in a thread other than the hub's.
        """
        hub = self._hub
        # Goes on only with the loop. It follows the wall clock: good for no more than "another".
        now = hub.loop.now()
        if now != self._now:
            self._now = now
            self._began = time.monotonic()
        elif time.monotonic() - self._began > _TURN_SECONDS and _thread() == hub.thread_ident:
            # Not gevent.sleep(0), after which the loop does not look at the sockets.
            with hub.loop.timer(0) as timer:
                hub.wait(timer)


class Transport:
    """The bytes of one transport connection. Every method raises OSError as the kernel gave it."""

    __slots__ = (
        "_hub",
        "_on_wait",
        "_read_watcher",
        "_socket",
        "_turn",
        "_unsent",
        "_write_watcher",
        "write_blocked_since",
    )

    def __init__(self, sock: socket.socket, on_wait: Callable[[float], None] = _ignore) -> None:
        """``on_wait`` is called with the monotonic time when a write begins to wait, and with 0
        when it goes on.
        """
        self._hub: Any = get_hub()
        self._on_wait = on_wait
        self._socket = sock
        self._read_watcher: Any = None
        self._write_watcher: Any = None
        self._unsent: list[Bytes] = []
        self._turn: Turn | None = None
        self.write_blocked_since = 0.0
        """The monotonic time (seconds) when a write began to wait; 0 while none waits."""

    def peer_name(self, address: Any) -> str:
        """Name the other side in a log line; ``address`` is as ``accept`` gave it."""
        if self._socket.family != socket.AF_UNIX:
            return str(TCPAddress(address[0], address[1]))
        peer = peer_credentials(self._socket)
        return "UNIX socket" if peer is None else f"UNIX socket, pid {peer.pid}, uid {peer.uid}"

    def receive_now(self, most: int) -> bytes | None:
        """Return the bytes that are there: b"" at the end, None if a read would wait."""
        try:
            return self._socket.recv(most)
        except BlockingIOError:
            return None

    def start_reading(self, on_readable: Callable[[], None]) -> None:
        """Call ``on_readable`` in the hub as long as bytes, or the end, can be received."""
        watcher = self._read_watcher
        if watcher is None:
            watcher = self._read_watcher = self._hub.loop.io(self._socket.fileno(), _READ)
        if not watcher.active:
            watcher.start(on_readable)

    def stop_reading(self) -> None:
        """Leave what arrives in the socket; the kernel makes the Web server wait."""
        if self._read_watcher is not None:
            self._read_watcher.stop()

    @property
    def reading(self) -> bool:
        """Whether what arrives is being read."""
        return self._read_watcher is not None and bool(self._read_watcher.active)

    def has_bytes(self) -> bool:
        """Whether bytes, or the end, are there to be received. Does not wait."""
        poll = _poll()
        poll.register(self._socket, _POLLIN)
        return bool(poll.poll(0))

    def is_writable(self) -> bool:
        """Whether bytes could be sent at once, or the other side has gone. Does not wait."""
        poll = _poll()
        poll.register(self._socket, _POLLOUT)
        return bool(poll.poll(0))

    def has_hung_up(self) -> bool:
        """Whether the other side has gone for good, whatever is here unread. Does not wait."""
        poll = _poll()
        poll.register(self._socket, 0)  # POLLHUP and POLLERR come unasked
        return bool(poll.poll(0))

    def has_left(self) -> bool:
        """Whether the other side sends no more, whatever is here unread. Does not wait."""
        poll = _poll()
        poll.register(self._socket, _POLLRDHUP)
        return bool(poll.poll(0))

    def send(self, buffers: Sequence[Bytes], flags: int = 0) -> None:
        """Send all of it, waiting where the Web server is slow.

        If an exception is thrown into the wait, the next call sends the rest first.
        """
        if len(buffers) == 1 and not self._unsent:
            data = buffers[0]
            try:
                sent = self._socket.send(data, flags)
            except BlockingIOError:
                sent = 0
            if sent == len(data):
                return
            left: list[Bytes] = [memoryview(data)[sent:]]
            blocked = True
        else:
            left = [*self._unsent, *buffers]
            blocked = False
        self._unsent = left
        while left:
            if blocked:
                self._wait_writable()
            try:
                sent = self._socket.sendmsg(islice(left, _BUFFERS_PER_CALL), (), flags)
            except BlockingIOError:
                blocked = True
                continue
            blocked = False
            done = 0
            for buffer in left:
                if sent < len(buffer):
                    break
                sent -= len(buffer)
                done += 1
            del left[:done]
            if sent:
                left[0] = memoryview(left[0])[sent:]

    def send_file(self, fileno: int, offset: int, count: int) -> None:
        """Send ``count`` bytes of an open file from ``offset``.

        Raises: OSError; EOFError if the file ends before.
        """
        descriptor = self._socket.fileno()
        while count:
            try:
                sent = os.sendfile(descriptor, fileno, offset, count)
            except BlockingIOError:
                self._wait_writable()
                continue
            if sent == 0:
                raise EOFError(f"the file ended {count} bytes early")
            offset += sent
            count -= sent

    def give_way(self) -> None:
        """Give other greenlets a turn if this one has kept the loop for long.

        A write waits, and gives a turn, only if the Web server is slower than the application.
        """
        if self._turn is None:
            self._turn = Turn()
        self._turn.give_way()

    def _wait_writable(self) -> None:
        hub = self._hub
        if self._write_watcher is None:
            # It is kept, because a long response waits hundreds of times.
            self._write_watcher = hub.loop.io(self._socket.fileno(), _WRITE)
        self.write_blocked_since = since = time.monotonic()
        self._on_wait(since)
        try:
            hub.wait(self._write_watcher)
        finally:
            self.write_blocked_since = 0.0
            self._on_wait(0.0)

    def shut_down(self, how: int = socket.SHUT_RDWR) -> None:
        """Shut down for good. A greenlet that waits for this socket wakes up."""
        try:
            self._socket.shutdown(how)
        except OSError:
            pass

    def close(self) -> None:
        """Close; no greenlet may be waiting."""
        self._on_wait = _ignore
        if self._read_watcher is not None:
            self._read_watcher.close()
        if self._write_watcher is not None:
            self._write_watcher.close()
        self._socket.close()
