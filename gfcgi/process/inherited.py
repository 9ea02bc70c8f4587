"""Listening sockets that were open when this process started.

A Web server or a spawner leaves the socket on descriptor 0 (FastCGI 1.0 §2.2); systemd from
descriptor 3 on, counted in LISTEN_FDS (sd_listen_fds(3)).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Final

from gfcgi import sockets
from gfcgi.addresses import TCPAddress
from gfcgi.errors import ConfigError
from gfcgi.process.descriptors import replace_by_null

__all__ = [
    "FCGI_LISTENSOCK_FILENO",
    "adopt",
    "forget_listen_fds",
    "is_cgi",
    "is_listening",
    "listen_fds",
    "name_of",
    "unused",
]

FCGI_LISTENSOCK_FILENO: Final = 0
SD_LISTEN_FDS_START: Final = 3
_SERVED: Final = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)


def is_listening(fd: int) -> bool:
    """Whether ``fd`` is a stream socket, of whatever family, that listens. Leaves it as it is."""
    probe = _copy(fd)
    if probe is None:
        return False
    with probe:
        return sockets.is_listening(probe)


def _copy(fd: int) -> socket.socket | None:
    """A second descriptor of the socket ``fd``; None if that is no socket."""
    try:
        copy = os.dup(fd)
    except OSError:
        return None  # closed
    try:
        return socket.socket(fileno=copy)  # asks the kernel for the family and the type
    except OSError:
        os.close(copy)
        return None


def adopt(fd: int) -> socket.socket:
    """Make an inherited listening socket ours.

    Raises ValueError if it is none, or if nothing is known of who may connect there.
    Programs that the application starts do not get it, not as their standard input either: a
    standard descriptor becomes ``/dev/null``.
    """
    if not is_listening(fd):
        raise ValueError(f"descriptor {fd} is no listening stream socket")
    if (family := _family(fd)) not in _SERVED:
        raise ValueError(
            f"descriptor {fd} listens on {getattr(family, 'name', f'family {family}')}; gfcgi"
            " serves UNIX sockets and TCP"
        )
    if fd > 2:
        os.set_inheritable(fd, False)
        return socket.socket(fileno=fd)
    sock = socket.socket(fileno=os.dup(fd))
    replace_by_null(fd)
    return sock


def _family(fd: int) -> int:
    probe = _copy(fd)
    assert probe is not None  # it listens
    with probe:
        return probe.family


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
    """The descriptors that systemd, or a program that does the same, handed to this process.

    Raises ConfigError if one of them is no listening socket: serving the rest would hide it.
    """
    pid, count = environ.get("LISTEN_PID", ""), environ.get("LISTEN_FDS", "")
    if pid != str(os.getpid()) or not (count.isascii() and count.isdigit()):
        return ()
    fds = range(SD_LISTEN_FDS_START, SD_LISTEN_FDS_START + int(count))
    for fd in fds:
        if not is_listening(fd):
            raise ConfigError(
                f"{count}: descriptor {fd} is no listening stream socket; a systemd socket unit"
                " needs ListenStream= and Accept=no",
                option="bind",
                source="LISTEN_FDS",
            )
    return tuple(fds)


def unused(environ: Mapping[str, str], used: Sequence[int]) -> list[str]:
    """What else seems to be handed over, and why it is not served: a line for each."""
    lines = []
    pid = environ.get("LISTEN_PID", "")
    if "LISTEN_FDS" in environ and SD_LISTEN_FDS_START not in used:
        if pid == str(os.getpid()):
            lines.append("the sockets of LISTEN_FDS are not used")
        else:
            lines.append(
                f"the sockets of LISTEN_FDS are not used: LISTEN_PID={pid} is another process, and"
                f" this is {os.getpid()}"
            )
    if FCGI_LISTENSOCK_FILENO not in used and _is_connected(FCGI_LISTENSOCK_FILENO):
        lines.append(
            "descriptor 0 is a connected socket and is not used: FastCGI needs the listening one"
            " (Accept=no in a socket unit, wait in inetd.conf)"
        )
    return lines


def _is_connected(fd: int) -> bool:
    """Whether ``fd`` is a client's connection: one over TCP, or to a UNIX socket with a name."""
    probe = _copy(fd)
    if probe is None:
        return False
    with probe:
        try:
            probe.getpeername()
        except OSError:
            return False
        # Programs also give each other a pair of UNIX sockets, which has no names.
        return probe.family != socket.AF_UNIX or bool(probe.getsockname())


def forget_listen_fds(environ: MutableMapping[str, str]) -> None:
    """Programs that the application starts must not take the variables for their own."""
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environ.pop(name, None)
