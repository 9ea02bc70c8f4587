"""The sockets that a process listens on: bound here, or inherited.

What binding UNIX sockets takes is imported where it is done: a process that a Web server started
has its socket, and a request waiting.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from gfcgi.addresses import InheritedSocket, TCPAddress, is_loopback, parse_address
from gfcgi.errors import ConfigError
from gfcgi.options import Options
from gfcgi.process.inherited import FCGI_LISTENSOCK_FILENO, adopt, name_of

if TYPE_CHECKING:
    from gfcgi.process.unix import SocketFile

__all__ = ["Listener", "adopt_all", "bind_all", "private_listener"]


class Listener(NamedTuple):
    """A socket that listens, what to call it in the log, and its file if we made one.

    ``inherited``: other processes may accept there too. ``fleeting``: it came on descriptor 0, from
    a Web server or a spawner that may throw it away once it has stopped us.
    """

    socket: socket.socket
    name: str
    inherited: bool = False
    file: SocketFile | None = None
    fleeting: bool = False

    def close(self) -> None:
        self.socket.close()
        if self.file is not None:
            self.file.remove()

    @property
    def open_to_all(self) -> bool:
        """Whether it is TCP that other machines can reach."""
        if self.socket.family not in (socket.AF_INET, socket.AF_INET6):
            return False
        return not is_loopback(self.socket.getsockname()[0])


def bind_all(options: Options) -> list[Listener]:
    """Listen on every address of ``options.bind``. Raises ConfigError, and leaves nothing open."""
    listeners: list[Listener] = []
    try:
        for text in options.bind:
            listeners += _listen(text, options)
    except BaseException:
        _close(listeners)
        raise
    return listeners


def adopt_all(fds: Iterable[int]) -> list[Listener]:
    """Take over sockets that are known to listen."""
    return [_inherited(fd) for fd in fds]


def private_listener(options: Options) -> Listener:
    """A UNIX socket that only this user can reach."""
    from gfcgi.process.unix import listen_privately

    sock, file = listen_privately(options)
    return Listener(sock, name_of(sock), file=file)


def _close(listeners: Iterable[Listener]) -> None:
    for listener in listeners:
        listener.close()


def _inherited(fd: int) -> Listener:
    sock = adopt(fd)
    name = f"{name_of(sock)} (descriptor {fd})"
    return Listener(sock, name, inherited=True, fleeting=fd == FCGI_LISTENSOCK_FILENO)


def _listen(text: str, options: Options) -> list[Listener]:
    address = parse_address(text)
    try:
        if isinstance(address, InheritedSocket):
            return [_inherited(address.fd)]
        if isinstance(address, TCPAddress):
            return _listen_tcp(address, options)
        from gfcgi.process.unix import listen_unix

        sock, file = listen_unix(address, options)
        return [Listener(sock, str(address), file=file)]
    except ConfigError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"{address}: {reason}", option="bind", source=options.source_of("bind")
        ) from None


def _listen_tcp(address: TCPAddress, options: Options) -> list[Listener]:
    found = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    places = list(dict.fromkeys((family, sockaddr) for family, _, _, _, sockaddr in found))
    if not options.allow_from and not all(is_loopback(str(place[0])) for _, place in places):
        raise ValueError(
            "other machines can reach this address, and whoever reaches it can set REMOTE_USER and"
            " every other variable. Say which Web servers may connect with --allow-from"
            " (allow_from=), or listen on 127.0.0.1 or on a UNIX socket"
        )
    listeners: list[Listener] = []
    missing: OSError | None = None
    try:
        for family, place in places:
            try:
                listeners.append(_listen_at(family, place, options))
            except OSError as error:
                # localhost may have an IPv6 address on a machine without IPv6.
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error
        if missing is not None and not listeners:
            raise missing
    except BaseException:
        _close(listeners)
        raise
    return listeners


def _listen_at(
    family: socket.AddressFamily, place: tuple[object, ...], options: Options
) -> Listener:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # What was asked for and no more: 0.0.0.0:9000 can be had beside [::]:9000.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(place)
        sock.listen(options.backlog)
    except BaseException:
        sock.close()
        raise
    return Listener(sock, name_of(sock))
