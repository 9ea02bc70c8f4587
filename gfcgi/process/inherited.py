"""Listening sockets that were there when we started, and how that tells who started us.

A Web server or a spawner leaves the socket on descriptor 0 (FastCGI 1.0 §2.2); systemd from
descriptor 3 on, counted in LISTEN_FDS (sd_listen_fds(3)).
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, MutableMapping
from typing import Final

from gfcgi.addresses import TCPAddress
from gfcgi.errors import ConfigError

__all__ = [
    "FCGI_LISTENSOCK_FILENO",
    "Latecomers",
    "adopt",
    "forget_listen_fds",
    "is_cgi",
    "is_listening",
    "listen_fds",
    "name_of",
]

FCGI_LISTENSOCK_FILENO: Final = 0
SD_LISTEN_FDS_START: Final = 3

LATE_SECONDS: float = 0.2
"""After a stop, how long to accept from a socket that goes away when we end. In 50 ms Apache's old
workers have handed on what they had read, and the rest is for slow clients; meanwhile mod_fastcgi
waits for us, two seconds at most, and Apache starts no new workers. Tests change it."""


def is_listening(fd: int) -> bool:
    """Whether ``fd`` is a stream socket, of whatever family, that listens. Leaves it as it is."""
    try:
        copy = os.dup(fd)
    except OSError:
        return False  # closed
    try:
        probe = socket.socket(fileno=copy)  # asks the kernel for the family and the type
    except OSError:
        os.close(copy)
        return False  # no socket
    with probe:
        kind = probe.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
        listens = probe.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        return kind == socket.SOCK_STREAM and bool(listens)


def adopt(fd: int) -> socket.socket:
    """Make an inherited listening socket ours. Raises ValueError if it is none.

    Programs that the application starts do not get it. Descriptor 0 becomes ``/dev/null``, so that
    they do not get it as their standard input either, and no file is opened there.
    """
    if not is_listening(fd):
        raise ValueError(f"descriptor {fd} is no listening stream socket")
    if fd > 2:
        os.set_inheritable(fd, False)
        return socket.socket(fileno=fd)
    sock = socket.socket(fileno=os.dup(fd))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, fd)
    os.close(null)
    return sock


class Latecomers:
    """Whoever still connects after a stop, to a socket that the Web server made for us.

    mod_fastcgi stops us while Apache's old workers still have requests to hand on, and throws the
    socket away as soon as one of its processes has ended, with all that wait in it.
    """

    def __init__(self, sock: socket.socket, at_most_seconds: float) -> None:
        self._seconds = min(LATE_SECONDS, at_most_seconds)
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
        """Which file has the socket's name now; None if there is none that we can see."""
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_dev, status.st_ino


def name_of(sock: socket.socket) -> str:
    """Where a socket listens, as a person writes it."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        path = os.fsdecode(name)
        return f"unix:{'@' + path[1:] if path.startswith(chr(0)) else path}"
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        return str(TCPAddress(name[0], name[1]))
    return str(name)


def is_cgi(environ: Mapping[str, str]) -> bool:
    """Whether a Web server started us for one request, as CGI (RFC 3875 §4.1.4, §4.1.12)."""
    return "GATEWAY_INTERFACE" in environ and "REQUEST_METHOD" in environ


def listen_fds(environ: Mapping[str, str]) -> tuple[int, ...]:
    """The descriptors that systemd, or who does as it does, handed to this very process.

    Raises ConfigError if one of them is no listening socket: serving the rest would hide it.
    """
    pid, count = environ.get("LISTEN_PID", ""), environ.get("LISTEN_FDS", "")
    if pid != str(os.getpid()) or not (count.isascii() and count.isdigit()):
        return ()
    fds = tuple(range(SD_LISTEN_FDS_START, SD_LISTEN_FDS_START + int(count)))
    for fd in fds:
        if not is_listening(fd):
            raise ConfigError(
                f"{count}: descriptor {fd} is no listening stream socket; a systemd socket unit"
                " needs ListenStream= and Accept=no",
                option="bind",
                source="LISTEN_FDS",
            )
    return fds


def forget_listen_fds(environ: MutableMapping[str, str]) -> None:
    """Programs that the application starts must not take the variables for their own."""
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environ.pop(name, None)
