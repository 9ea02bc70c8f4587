"""Standard output and standard error where nobody reads them: a pipe or a socket that is full.

Everybody who prints would wait there for ever, and with one event loop that is everybody. So what
cannot be written after a short wait is left out and counted, and said when there is room again. A
file and a terminal take everything, and are written to as always.

The descriptors themselves stay as they are: O_NONBLOCK would be the other processes' too.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import time
from typing import Any, Final

from gfcgi.printing import counted

__all__ = ["never_wait_for_readers", "write_now"]

ATOMIC_BYTES: Final = 4096
"""PIPE_BUF: so much, or less, a pipe takes whole or not at all (pipe(7))."""

PATIENCE_SECONDS: Final = 0.3
"""How long everybody may wait for a reader that is only slow; it has 64 KB to read meanwhile."""

PATIENCE_PER_SECOND: Final = 0.05
"""How much of it comes again: a reader that stays slow costs no more than this part of the time."""


def never_wait_for_readers() -> None:
    """Have ``sys.stdout`` and ``sys.stderr`` leave out what nobody reads, instead of waiting.

    The objects stay the same ones: handlers of ``logging`` that were made before keep them.
    """
    for stream, fd in ((sys.stdout, 1), (sys.stderr, 2)):
        # Anything else is what the application put there.
        if type(stream) is io.TextIOWrapper and not isinstance(_raw(stream), _Unread):
            try:
                ours = stream.fileno() == fd
                if ours:
                    _replace_buffer(stream, fd)
            except (OSError, ValueError):
                pass  # closed


def _raw(stream: io.TextIOWrapper) -> object:
    return getattr(stream.buffer, "raw", stream.buffer)


def _replace_buffer(stream: io.TextIOWrapper, fd: int) -> None:
    stream.flush()
    stream.__init__(  # type: ignore[misc]  # there is no other way to keep the object
        io.BufferedWriter(_Unread(fd)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Unread(io.RawIOBase):
    """Writes whole lines to a descriptor, or counts them."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.name = {1: "<stdout>", 2: "<stderr>"}.get(fd, str(fd))
        self.mode = "wb"
        self._lost = 0
        self._at_start = True  # what was written last ended a line
        self._torn = False  # a line's beginning was written, and its rest was left out
        self._patience = PATIENCE_SECONDS
        self._patient_at = time.monotonic()

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        data = bytes(data)
        for piece in _pieces(data):
            self._write(piece)
        return len(data)

    def _write(self, piece: bytes) -> None:
        if self._lost:
            if not _room(self._fd, 0):  # a short line may still fit, and a long one not
                self._lost += piece.count(b"\n")
                return
            told = f"gfcgi[{os.getpid()}]: nobody read here: {counted(self._lost, 'line')} left out"
            if not self._wrote(b"\n" * self._torn + told.encode() + b"\n"):
                self._lost += piece.count(b"\n")
                return
            self._lost, self._torn = 0, False
        if not self._wrote(piece):
            self._lost += piece.count(b"\n") or 1
            self._torn = not self._at_start
        else:
            self._at_start = piece.endswith(b"\n")

    def _wrote(self, piece: bytes) -> bool:
        """Write a piece whole; say whether it was."""
        if write_now(self._fd, piece):
            return True
        began = time.monotonic()
        self._patience += (began - self._patient_at) * PATIENCE_PER_SECOND
        until = began + min(self._patience, PATIENCE_SECONDS)
        done = False
        while not done and (left := until - time.monotonic()) > 0 and _room(self._fd, left):
            done = write_now(self._fd, piece)
        self._patient_at = time.monotonic()
        self._patience = max(0.0, until - self._patient_at)
        return done


def _pieces(data: bytes) -> list[bytes]:
    """Cut into whole lines, as many as a pipe takes at once; a longer line into parts."""
    pieces = []
    while len(data) > ATOMIC_BYTES:
        end = data.rfind(b"\n", 0, ATOMIC_BYTES) + 1 or ATOMIC_BYTES
        pieces.append(data[:end])
        data = data[end:]
    pieces.append(data)
    return pieces


def write_now(fd: int, piece: bytes) -> bool:
    """Write at most ATOMIC_BYTES without waiting for a reader; return whether that was possible.

    A file or a terminal is waited for. A signal handler may call this. Raises: OSError where
    nobody can read it any more.
    """
    mode = os.fstat(fd).st_mode
    try:
        if (mode & 0o170000) == 0o010000:  # a pipe; the module stat takes time to import
            _write_to_pipe(fd, piece)
        elif (mode & 0o170000) == 0o140000:  # a socket
            _send(fd, piece)
        else:
            while piece:
                piece = piece[os.write(fd, piece) :]
    except BlockingIOError:
        return False
    return True


def _write_to_pipe(fd: int, piece: bytes) -> None:
    try:
        # A description of our own: another process may fill the pipe just now.
        own = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # no /proc, no descriptor left, or a pipe that was another user's
        if not _room(fd, 0):
            raise BlockingIOError from None
        os.write(fd, piece)
        return
    try:
        os.write(own, piece)
    finally:
        os.close(own)


def _send(fd: int, piece: bytes) -> None:
    # The one that gevent does not replace.
    from _socket import MSG_DONTWAIT, getdefaulttimeout, setdefaulttimeout, socket

    default = getdefaulttimeout()
    setdefaulttimeout(None)  # with one, the new object would make the descriptor non-blocking
    try:
        sock = socket(fileno=fd)
    finally:
        setdefaulttimeout(default)
    try:
        sent = sock.send(piece, MSG_DONTWAIT)
        if sent < len(piece) and _room(fd, PATIENCE_SECONDS):
            sock.send(piece[sent:], MSG_DONTWAIT)
    finally:
        sock.detach()


def _room(fd: int, seconds: float) -> bool:
    """Wait until the descriptor takes something; return whether it does. Keeps everybody waiting.

    Only a wait that has an end: there is no other greenlet to switch to in the event loop itself.
    """
    monkey: Any = sys.modules.get("gevent.monkey")
    if monkey is not None:
        poll = monkey.get_original("select", "poll")
    else:
        from select import poll
    waiting = poll()
    waiting.register(fd, 4)  # POLLOUT
    try:
        return bool(waiting.poll(seconds * 1000))
    except OSError as error:
        if error.errno == errno.EBADF:
            return False
        raise
