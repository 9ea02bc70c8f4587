"""How long to go on accepting after a stop, on a socket that is removed when we end.

mod_fastcgi stops us while Apache's old workers still have requests to hand on. As soon as one of
its processes has ended, it throws the socket away with all that waits in it.
"""

from __future__ import annotations

import os
import socket
import time

from gfcgi import limits

__all__ = ["AcceptGrace"]


class AcceptGrace:
    """Says whether somebody may still connect after a stop."""

    def __init__(self, sock: socket.socket, at_most_seconds: float) -> None:
        self._seconds = min(limits.ACCEPT_GRACE_SECONDS, at_most_seconds)
        self._deadline: float | None = None
        self._path = ""
        name = sock.getsockname()
        if sock.family == socket.AF_UNIX and isinstance(name, str):
            self._path = name
        self._file = self._look()

    def expected(self) -> bool:
        """Whether to go on accepting. The time runs from the first call."""
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + self._seconds
        return now < self._deadline and self._look() == self._file

    def _look(self) -> tuple[int, int] | None:
        """Which file has the socket's name now; None if we cannot see one."""
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_dev, status.st_ino
