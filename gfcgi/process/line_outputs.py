"""Where lines go that nobody may wait for: a file, standard output, or syslog.

What cannot be written is left out and counted: a disk is full, a directory gone, a pipe full that
nobody reads. The log says so, and says how much it was when there is room again.
"""

from __future__ import annotations

import _socket
import errno
import os
import stat
import time
from collections.abc import Callable
from typing import Any, Final

from gfcgi import limits
from gfcgi.printing import counted
from gfcgi.process.log import log
from gfcgi.process.unread_output import ATOMIC_BYTES, write_now
from gfcgi.wsgi.access_lines import MONTHS

__all__ = ["Descriptor", "File", "LineOutput", "Syslog"]

DEV_LOG: Final = "/dev/log"

_CLOSED: Final = -1
_NEVER: Final = float("-inf")
_DEV_NULL: Final = os.makedev(1, 3)
_PRIORITY: Final = 3 * 8 + 6
"""Facility daemon, severity informational (RFC 3164 §4.1.1)."""

_MODE: Final = 0o640
"""An access log says who has asked for what: it is not for everybody to read."""


class LineOutput:
    """Writes lines to one place, called ``name`` in the log. What is public does not raise.

    ``what`` are the lines, such as "access log". Call all methods in one thread.
    """

    def __init__(
        self, what: str, name: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = f"{what} ({name})"
        self._clock = clock
        self._lost = 0
        self._torn = False
        """Whether the beginning of a line was written, and its rest was left out."""
        self._said_at = self._tried_at = _NEVER

    def write(self, line: str) -> None:
        """Write a line, which has no end yet."""
        try:
            self._write(line.encode("utf-8", "backslashreplace"))
        except OSError as error:
            self._lost += 1
            self._say(error)
        else:
            if self._lost:
                self._say_what_is_lost()

    def reopen(self) -> None:
        """Open anew what may have been renamed."""

    def close(self) -> None:
        """Write no more."""
        if self._lost:
            self._say_what_is_lost()

    def _write(self, line: bytes) -> None:
        """Write a line and its end. Raises: OSError if that cannot be done at once."""
        data = b"\n" * self._torn + line + b"\n"
        while data:
            written = self._put(data)
            data = data[written:]
            self._torn = bool(data)

    def _put(self, data: bytes) -> int:
        """Write some bytes, and return how many. Raises: OSError."""
        raise NotImplementedError

    def _may_try(self) -> bool:
        """Whether it is time to open it again."""
        now = self._clock()
        if now - self._tried_at < limits.OUTPUT_TRIED_SECONDS:
            return False
        self._tried_at = now
        return True

    def _say(self, error: OSError) -> None:
        now = self._clock()
        if now - self._said_at >= limits.OUTPUT_SAID_SECONDS:
            self._said_at = now
            reason = error.strerror or error
            if isinstance(error, BlockingIOError):
                reason = "nobody reads there"
            log.error("%s: %s; lines are left out", self._name, reason)

    def _say_what_is_lost(self) -> None:
        lost, self._lost = self._lost, 0
        log.warning("%s: %s left out", self._name, counted(lost, "line"))


class File(LineOutput):
    """A file that several processes may append to; or a named pipe."""

    def __init__(self, what: str, path: str, **more: Any) -> None:
        super().__init__(what, path, **more)
        self._path = path
        self._fd = _CLOSED
        self._error = OSError()
        try:
            self._try_to_open()
        except OSError as error:
            self._say(error)

    def _try_to_open(self) -> None:
        if not self._may_try():
            raise self._error
        try:
            self._open()
        except OSError as error:
            self._error = error
            raise

    def _open(self) -> None:
        # O_NONBLOCK: a named pipe may have no reader, or may be full.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        fd = os.open(self._path, flags, _MODE)
        before, self._fd = self._fd, fd
        self._torn = False
        if before != _CLOSED:
            os.close(before)

    def _write(self, line: bytes) -> None:
        if self._fd == _CLOSED:
            self._try_to_open()
        super()._write(line)

    def _put(self, data: bytes) -> int:
        return os.write(self._fd, data)

    def reopen(self) -> None:
        try:
            self._open()
        except OSError as error:  # the one that is open goes on
            log.warning("cannot reopen %s: %s", self._path, error.strerror or error)

    def close(self) -> None:
        super().close()
        if self._fd != _CLOSED:
            os.close(self._fd)
            self._fd = _CLOSED


class Descriptor(LineOutput):
    """Standard output or standard error, whatever that is: ``fd`` stays open."""

    def __init__(self, what: str, fd: int, **more: Any) -> None:
        self._fd = fd
        self._own = _CLOSED
        """A description of our own of a pipe: it can be written to without waiting."""
        name = {1: "standard output", 2: "standard error"}[fd]
        super().__init__(what, name, **more)
        try:
            about = os.fstat(fd)
            self._nowhere = stat.S_ISCHR(about.st_mode) and about.st_rdev == _DEV_NULL
            if stat.S_ISFIFO(about.st_mode):
                self._open_own()
        except OSError:
            self._nowhere = True
        if self._nowhere:
            log.warning("%s: it leads nowhere in this process; lines are left out", self._name)

    def _open_own(self) -> None:
        try:
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
            self._own = os.open(f"/proc/self/fd/{self._fd}", flags)
        except OSError:
            pass  # no /proc, or a pipe of another user's

    def _write(self, line: bytes) -> None:
        if not self._nowhere:
            super()._write(line)

    def _put(self, data: bytes) -> int:
        if self._own != _CLOSED:
            return os.write(self._own, data)
        piece = data[:ATOMIC_BYTES]
        if not write_now(self._fd, piece):
            raise BlockingIOError
        return len(piece)

    def close(self) -> None:
        super().close()
        if self._own != _CLOSED:
            os.close(self._own)
            self._own = _CLOSED


class Syslog(LineOutput):
    """The machine's syslog, by its socket."""

    def __init__(self, what: str, *, path: str = DEV_LOG, **more: Any) -> None:
        super().__init__(what, "syslog", **more)
        self._path = path
        self._socket: _socket.socket | None = None
        self._error = OSError()
        try:
            self._connect()
        except OSError as error:
            self._say(error)

    def _connect(self) -> _socket.socket:
        if self._socket is None:
            if not self._may_try():
                raise self._error
            made = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
            try:
                made.settimeout(0)
                made.connect(self._path)
            except OSError as error:
                made.close()
                self._error = type(error)(error.errno, f"{self._path}: {error.strerror}")
                raise self._error from None
            self._socket = made
        return self._socket

    def _write(self, line: bytes) -> None:
        at = time.localtime()
        stamp = time.strftime(f"{MONTHS[at.tm_mon - 1]} {at.tm_mday:2d} %H:%M:%S", at)
        message = b"<%d>%s gfcgi[%d]: %s" % (_PRIORITY, stamp.encode(), os.getpid(), line)
        known = self._socket is not None
        try:
            self._connect().send(message)
        except BlockingIOError:
            raise
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                raise  # this line alone is lost
            self._disconnect()
            if not known:
                raise
            self._tried_at = _NEVER
            self._connect().send(message)  # it was started anew

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def close(self) -> None:
        super().close()
        self._disconnect()
