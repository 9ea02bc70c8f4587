"""What the kernel says of a socket, on every system that Python knows.

Linux has all of it. Elsewhere the socket module may lack a name: macOS and FreeBSD have no
SO_PEERCRED, and SO_ACCEPTCONN depends on the build.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import Any, Final, NamedTuple

__all__ = ["Credentials", "is_listening", "peer_credentials"]

_UCRED: Final = struct.Struct("iII")
"""struct ucred (unix(7)): pid, uid and gid."""


class Credentials(NamedTuple):
    """The process at the other end of a UNIX socket, when it connected or began to listen."""

    pid: int
    uid: int


def peer_credentials(sock: Any) -> Credentials | None:
    """Ask who is at the other end of a connected UNIX socket; None where nobody says."""
    name = getattr(socket, "SO_PEERCRED", None)
    if name is None:
        return None
    try:
        pid, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, name, _UCRED.size))
    except OSError:  # closed by now
        return None
    return Credentials(pid, uid)


def is_listening(sock: socket.socket) -> bool:
    """Whether it is a stream socket, of whatever family, that listens."""
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) != socket.SOCK_STREAM:
        return False
    name = getattr(socket, "SO_ACCEPTCONN", None)
    if name is not None:
        return bool(sock.getsockopt(socket.SOL_SOCKET, name))
    # As libfcgi does: a stream socket with a name and without a peer was left to be accepted on.
    try:
        sock.getpeername()
    except OSError as error:
        return error.errno == errno.ENOTCONN and _has_name(sock)
    return False


def _has_name(sock: socket.socket) -> bool:
    name = sock.getsockname()
    return bool(name[1] if isinstance(name, tuple) else name)
