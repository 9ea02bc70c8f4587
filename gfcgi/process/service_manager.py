"""What systemd, or a service manager that does the same, is told of this process (sd_notify(3)).

It asks for it by NOTIFY_SOCKET and WATCHDOG_USEC. Without these nothing is sent.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gfcgi.server.background import Background

__all__ = ["ServiceManager"]


class ServiceManager:
    """As a context manager it feeds the watchdog while the body runs, from the event loop.

    A loop that stands still feeds it no more, and the service manager ends the process.
    """

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        self._seconds = _watchdog_seconds()
        self._feeder: Background | None = None

    def __enter__(self) -> None:
        if self._address and self._seconds:
            from gfcgi.server.background import Background

            # Half of the time, as sd_watchdog_enabled(3) asks for.
            self._feeder = Background(lambda: self._tell("WATCHDOG=1"), self._seconds / 2)
            self._feeder.start()

    def __exit__(self, *exception: object) -> None:
        if self._feeder is not None:
            self._feeder.stop()

    def ready(self) -> None:
        """The sockets are listened on, at the start or after ``reloading``."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """A new version is about to be loaded."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """No more requests are taken. A signal handler may call this."""
        self._tell("STOPPING=1")

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto(state.encode(), address)
        except OSError:
            pass  # it is gone, or has too much to do: nothing of ours depends on it


def _watchdog_seconds() -> float:
    """How often a sign of life is wanted; 0 if never."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if pid != str(os.getpid()) or not (microseconds.isascii() and microseconds.isdigit()):
        return 0.0
    return int(microseconds) / 1e6
