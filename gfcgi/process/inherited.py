"""Listening sockets that were there when we started, and how that tells who started us.

A Web server or a spawner leaves the socket on descriptor 0 (FastCGI 1.0 §2.2); systemd from
descriptor 3 on, counted in LISTEN_FDS (sd_listen_fds(3)).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, MutableMapping
from typing import Final

from gfcgi.addresses import TCPAddress
from gfcgi.errors import ConfigError

__all__ = [
    "FCGI_LISTENSOCK_FILENO",
    "adopt",
    "forget_listen_fds",
    "is_cgi",
    "is_listening",
    "listen_fds",
    "name_of",
]

FCGI_LISTENSOCK_FILENO: Final = 0
SD_LISTEN_FDS_START: Final = 3


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
