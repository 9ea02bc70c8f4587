"""The sockets that a process listens on: bound here, or inherited.

What binding UNIX sockets takes is imported where it is done: a process that a Web server started
has its socket, and a request waiting.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from gfcgi.addresses import InheritedSocket, TCPAddress, is_loopback, parse_address
from gfcgi.errors import ConfigError
from gfcgi.options import Options
from gfcgi.process.inherited import FCGI_LISTENSOCK_FILENO, adopt, name_of
from gfcgi.process.renewal import passed_on

if TYPE_CHECKING:
    from gfcgi.process.unix import SocketFile

__all__ = [
    "Listener",
    "adopt_all",
    "bind_all",
    "close_passed_on",
    "private_listener",
    "take_over_all",
]


class Listener(NamedTuple):
    """A socket that listens, what to call it in the log, and its file if we made one.

    ``inherited``: other processes may accept there too. ``removed_on_stop``: it came on descriptor
    0, from a Web server or a spawner that may throw it away once it has stopped us. ``came_as``
    tells a renewed process which one it is: ``fd:0``, or the address that it was bound for.
    """

    socket: socket.socket
    name: str
    inherited: bool = False
    file: SocketFile | None = None
    removed_on_stop: bool = False
    came_as: str = ""

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
    """Listen on every address of ``options.bind``. Raises ConfigError, and leaves nothing open.

    A renewed process goes on with the sockets that it had bound before.
    """
    listeners: list[Listener] = []
    try:
        for text in options.bind:
            kept = passed_on.pop(text, ())
            found = [_taken_over(fd, text) for fd in kept] or _listen(text, options)
            listeners += [listener._replace(came_as=listener.came_as or text) for listener in found]
    except BaseException:
        _close(listeners)
        raise
    return listeners


def take_over_all() -> list[Listener]:
    """Take every socket that the process had bound before it was renewed."""
    kept = [
        (fd, text) for text, fds in passed_on.items() for fd in fds if not text.startswith("http:")
    ]
    listeners = [_taken_over(fd, text) for fd, text in kept]
    for _, text in kept:
        passed_on.pop(text, None)
    return listeners


def close_passed_on(http: str | None) -> None:
    """Close sockets that the process had bound before and no longer listens on.

    The one for HTTP at this address is taken later.
    """
    for text in [text for text in passed_on if text != f"http:{http}"]:
        for fd in passed_on.pop(text):
            _taken_over(fd, text).close()


def _taken_over(fd: int, text: str) -> Listener:
    sock = socket.socket(fileno=fd)
    file = None
    path = sock.getsockname() if sock.family == socket.AF_UNIX else ""
    if isinstance(path, str) and path and os.path.exists(path):
        from gfcgi.process.unix import SocketFile

        file = SocketFile.at(path)
    return Listener(sock, name_of(sock), file=file, came_as=text)


def adopt_all(fds: Iterable[int]) -> list[Listener]:
    """Take over sockets that are known to listen. Raises ConfigError for one not to be served."""
    try:
        return [_inherited(fd) for fd in fds]
    except ValueError as error:
        raise ConfigError(str(error), option="bind") from None


def private_listener(options: Options) -> Listener:
    """A UNIX socket that only this user can reach. Raises: ConfigError."""
    from gfcgi.process.unix import listen_privately

    try:
        sock, file = listen_privately(options)
    except OSError as error:
        reason = error.strerror or str(error)
        place = f" {error.filename}" if error.filename else ""
        raise ConfigError(
            f"no UNIX socket can be made in the temporary directory{place}: {reason};"
            " TMPDIR says another directory, best a short one",
            option="http",
            source=options.source_of("http"),
        ) from None
    return Listener(sock, name_of(sock), file=file)


def _close(listeners: Iterable[Listener]) -> None:
    for listener in listeners:
        listener.close()


def _inherited(fd: int) -> Listener:
    sock = adopt(fd)
    name = f"{name_of(sock)} (descriptor {fd})"
    return Listener(
        sock,
        name,
        inherited=True,
        removed_on_stop=fd == FCGI_LISTENSOCK_FILENO,
        came_as=f"fd:{fd}",
    )


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
