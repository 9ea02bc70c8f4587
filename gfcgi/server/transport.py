"""A connected, non-blocking socket that waits by switching to gevent's hub.

Leaner than ``gevent.socket``, which makes two watchers and a mixin of every accepted socket. One
callback that reads, and one greenlet at a time that writes, are all that is needed here.
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

if TYPE_CHECKING:
    from gfcgi.protocol.events import Bytes

__all__ = ["Transport"]

_READ, _WRITE = 1, 2
_POLLIN: Final = select.POLLIN
_poll: Any = get_original("select", "poll")

_BUFFERS_PER_CALL: Final = 512
"""Below the kernel's IOV_MAX (1024)."""

_TURN_SECONDS: Final = 0.005
"""How long a response may go on without having to wait: Python's own switch interval."""


class Transport:
    """The bytes of one transport connection. OSError leaves every method as the kernel gave it."""

    __slots__ = (
        "_hub",
        "_read_watcher",
        "_socket",
        "_turn",
        "_turn_began",
        "_unsent",
        "_write_watcher",
        "write_blocked_since",
    )

    def __init__(self, sock: socket.socket) -> None:
        self._hub: Any = get_hub()
        self._socket = sock
        self._read_watcher: Any = self._hub.loop.io(sock.fileno(), _READ)
        self._write_watcher: Any = None
        self._unsent: list[Bytes] = []
        self._turn = self._turn_began = 0.0
        self.write_blocked_since = 0.0
        """The loop's clock (seconds) when a write began to wait; 0 while none waits."""

    def receive_now(self, most: int) -> bytes | None:
        """Return what is there, b"" at the end, None where a read would wait."""
        try:
            return self._socket.recv(most)
        except BlockingIOError:
            return None

    def start_reading(self, on_readable: Callable[[], None]) -> None:
        """Call ``on_readable``, in the hub, as long as there are bytes or the end to receive."""
        if not self._read_watcher.active:
            self._read_watcher.start(on_readable)

    def stop_reading(self) -> None:
        """Leave what arrives in the socket; the kernel makes the Web server wait."""
        self._read_watcher.stop()

    def has_bytes(self) -> bool:
        """Whether bytes, or the end, are there to be received. Does not wait."""
        poll = _poll()
        poll.register(self._socket, _POLLIN)
        return bool(poll.poll(0))

    def has_hung_up(self) -> bool:
        """Whether the other side has gone for good, whatever is here unread. Does not wait."""
        poll = _poll()
        poll.register(self._socket, 0)  # POLLHUP and POLLERR come unasked
        return bool(poll.poll(0))

    def send(self, buffers: Sequence[Bytes], flags: int = 0) -> None:
        """Send all of it, waiting where the Web server is slow.

        What an exception thrown into the wait leaves over goes out first at the next call.
        """
        if len(buffers) == 1 and not self._unsent:
            data = buffers[0]
            sent = self._try_send(data, flags)
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

    def _try_send(self, data: Bytes, flags: int) -> int:
        try:
            return self._socket.send(data, flags)
        except BlockingIOError:
            return 0

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
        """Let the others have their turn, where the loop has had none for long.

        A Web server that takes all there is as it comes makes no write wait.
        """
        hub = self._hub
        turn = hub.loop.now()  # goes on only with the loop
        if turn != self._turn:
            self._turn = turn
            self._turn_began = time.monotonic()
        elif time.monotonic() - self._turn_began > _TURN_SECONDS:
            # Not gevent.sleep(0), after which the loop does not look at the sockets.
            with hub.loop.timer(0) as timer:
                hub.wait(timer)

    def _wait_writable(self) -> None:
        hub = self._hub
        if self._write_watcher is None:
            # Kept: a long response waits hundreds of times.
            self._write_watcher = hub.loop.io(self._socket.fileno(), _WRITE)
        self.write_blocked_since = hub.loop.now()
        try:
            hub.wait(self._write_watcher)
        finally:
            self.write_blocked_since = 0.0

    def shut_down(self, how: int = socket.SHUT_RDWR) -> None:
        """Shut down for good: whoever waits for this socket wakes up."""
        try:
            self._socket.shutdown(how)
        except OSError:
            pass

    def close(self) -> None:
        """Close; no greenlet may be waiting."""
        self._read_watcher.close()
        if self._write_watcher is not None:
            self._write_watcher.close()
        self._socket.close()
