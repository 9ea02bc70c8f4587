"""The server: accepts transport connections, counts what runs, and stops without losing any."""

from __future__ import annotations

import errno
import functools
import logging
import socket
import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import gevent
import greenlet
from gevent.event import Event
from gevent.hub import get_hub
from gevent.monkey import get_original
from gevent.server import StreamServer

from gfcgi import limits
from gfcgi.addresses import parse_network
from gfcgi.errors import RemoteProtocolError
from gfcgi.options import Options
from gfcgi.server.connection import Connection
from gfcgi.server.reports import RateLimit, outside_hub
from gfcgi.server.runners import Runners
from gfcgi.wsgi.gateway import Application, Gateway
from gfcgi.wsgi.request import name_of
from gfcgi.wsgi.rules import Rules

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

_stdlib_socket: Any = get_original("socket", "socket")

__all__ = ["Server"]

log = logging.getLogger("gfcgi.server")

_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_SHORTAGES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_SECONDS: Final = 0.02
"""Between two looks whether somebody is still expected after a stop."""
_NAMED: Final = 10
"""Requests named in one line of the log."""

_UCRED: Final = struct.Struct("iII")
"""pid, uid, gid"""


class Server:
    """Serves a WSGI application on listening sockets, with one greenlet for each request.

    ``multiprocess`` says that other processes may be accepting on the same sockets;
    ``still_expected`` is asked after a stop whether to go on accepting, until it says no. All
    methods belong into the thread of the gevent hub that was current when the server was started;
    ``stop`` may be called by a signal handler.
    """

    def __init__(
        self,
        application: Application,
        listeners: Sequence[socket.socket],
        options: Options | None = None,
        *,
        multiprocess: bool = False,
        still_expected: Callable[[], bool] | None = None,
    ) -> None:
        self.options = options if options is not None else Options()
        self.multiprocess = multiprocess
        self._still_expected = still_expected
        self._reports = RateLimit(log)
        self._gateway = Gateway(
            application,
            multiprocess=bool(multiprocess),
            debug=self.options.debug,
            rules=Rules(self.options.script_name, self.options.trusted_proxies),
            report=self._reports.warning,
        )
        self.runners = Runners(self._gateway)
        self._connections: set[Connection] = set()
        self._acceptors = [_Acceptor(self, listener) for listener in listeners]
        self._may_connect = functools.lru_cache(limits.PEERS_REMEMBERED)(self._in_networks)
        self._overloads = RateLimit(log)
        self._stopping = Event()
        self._empty = Event()
        self._empty.set()
        self._watch: Any = None

    @property
    def active_requests(self) -> int:
        """Requests whose application is running, those that were aborted included."""
        return len(self.runners.running)

    @property
    def connections(self) -> int:
        """Transport connections that are open."""
        return len(self._connections)

    # -- life

    def start(self) -> None:
        """Begin to accept."""
        options = self.options
        shortest = min(
            options.params_timeout_seconds,
            options.idle_timeout_seconds,
            options.stdin_timeout_seconds,
            options.stdout_timeout_seconds,
            limits.LINGER_SECONDS,
        )
        interval = min(max(shortest / 4, 0.01), 5.0)
        self._watch = get_hub().loop.timer(interval, interval, ref=False)
        self._watch.start(self._look_around)
        for acceptor in self._acceptors:
            acceptor.start()

    def serve(self) -> None:
        """Start, and return when ``stop`` was called and what ran is done or was cut."""
        self.start()
        try:
            self._stopping.wait()
            while self._still_expected is not None and self._still_expected():
                gevent.sleep(_PAUSE_SECONDS)
        finally:
            self._shut_down()

    def stop(self) -> None:
        """Accept no more, or soon, and finish what runs within graceful_timeout_seconds.

        Returns at once.
        """
        self.runners.when_done = self._check_empty
        self._stopping.set()

    def _shut_down(self) -> None:
        for acceptor in self._acceptors:
            # Who has connected already expects an answer.
            acceptor.accept_all()
            acceptor.close()
        for connection in list(self._connections):
            connection.drain()
        self._check_empty()
        if not self._empty.wait(self.options.graceful_timeout_seconds):
            running = [name_of(request) for request in self.runners.running]
            more = f" and {len(running) - _NAMED} more" if len(running) > _NAMED else ""
            log.warning(
                "still running after %g seconds, and cut: %s%s",
                self.options.graceful_timeout_seconds,
                ", ".join(running[:_NAMED]) or "connections without a whole request",
                more,
            )
            for connection in list(self._connections):
                connection.cut()
            for request in list(self.runners.running):
                get_hub().loop.run_callback(request.kill)
            self._empty.wait(1)
        self.runners.close()
        self._watch.close()

    # -- connections

    def accepted(self, sock: socket.socket, address: Any) -> None:
        """Serve a new transport connection; at once, where it is the hub that calls."""
        if sock.family != socket.AF_UNIX:
            if not self._may_connect(address[0]):
                sock.close()
                self._reports.warning(
                    "%s may not connect: not in allow_from (%s)",
                    address[0],
                    ", ".join(map(str, self._networks)),
                )
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(self, sock, functools.partial(_peer_name, sock, address))
        self._connections.add(connection)
        self._empty.clear()
        hub = get_hub()
        if greenlet.getcurrent() is hub:
            connection.start()
        else:
            # Requests must be begun in the hub: there they come back to when they block.
            hub.loop.run_callback(connection.start)

    @functools.cached_property
    def _networks(self) -> list[IPv4Network | IPv6Network]:
        """Who may connect over TCP; not looked at where Web servers come by a UNIX socket."""
        return [parse_network(network) for network in self.options.allow_from or _LOOPBACK]

    def _in_networks(self, host: str) -> bool:
        from ipaddress import IPv6Address, ip_address

        address = ip_address(host.partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    def connection_closed(self, connection: Connection) -> None:
        """Forget a connection, and accept again if there were too many."""
        self._connections.discard(connection)
        for acceptor in self._acceptors:
            acceptor.resume()
        self._check_empty()

    def _check_empty(self) -> None:
        if not self._connections and not self.active_requests:
            self._empty.set()

    def _look_around(self) -> None:
        """Give up what takes too long, and let go of what is not needed."""
        now = get_hub().loop.now()
        for connection in list(self._connections):
            if not connection.closed:
                connection.expire(now)
        self.runners.trim()

    # -- what is said of them

    def report(self, peer: str, error: RemoteProtocolError) -> None:
        """Log, at a bounded rate, what a Web server did wrong."""
        self._reports.warning(
            "%s: %s; %s is given up",
            peer,
            error,
            f"request {error.request_id}" if error.request_id else f"the {error.fatal.value}",
        )

    def report_overload(self) -> None:
        self._overloads.warning(
            "%d requests are running (max_concurrent_requests): one more was refused with 503",
            self.active_requests,
        )

    def report_shortage(self, error: OSError) -> None:
        self._overloads.warning("cannot accept a connection: %s", error)

    def log_expiry(self, peer: str, what: str, seconds: float) -> None:
        self._reports.warning("%s: %s %.3g seconds; given up", peer, what, seconds)

    def log_debug(self, peer: str, what: object) -> None:
        if log.isEnabledFor(logging.DEBUG):
            outside_hub(log.debug, "%s: %s", peer, what)


def _peer_name(sock: socket.socket, address: Any) -> str:
    """Name the other side in a log line."""
    if sock.family != socket.AF_UNIX:
        host = address[0]
        return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"
    try:
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    except OSError:  # closed by now
        return "UNIX socket"
    pid, uid, _ = _UCRED.unpack(credentials)
    return f"UNIX socket, pid {pid}, uid {uid}"


class _Acceptor(StreamServer):
    """gevent's StreamServer, handing on sockets as the kernel gives them."""

    socket: Any
    _start_accepting_if_started: Any
    _watcher: Any
    _timer: Any

    def __init__(self, server: Server, listener: socket.socket) -> None:
        # Inherited descriptors come in blocking mode (Apache's do).
        listener.setblocking(False)
        super().__init__(listener, server.accepted)
        self._server = server
        if server.multiprocess:
            # Leave some for the others, as gevent's own pywsgi does.
            self.max_accept = 1

    def full(self) -> bool:
        return self._server.connections >= self._server.options.max_connections

    def do_read(self) -> tuple[socket.socket, Any] | None:  # type: ignore[override]
        try:
            descriptor, address = self.socket._accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        except OSError as error:
            if error.errno not in _SHORTAGES:
                raise
            self._server.report_shortage(error)
            self._pause()
            return None
        sock = _stdlib_socket(fileno=descriptor)
        sock.setblocking(False)
        return sock, address

    def _pause(self) -> None:
        """Try again a little later: the connections wait in the backlog."""
        if self._watcher is not None:
            self.stop_accepting()
            self._timer = self.loop.timer(self.max_delay)
            self._timer.start(self._start_accepting_if_started)

    def do_handle(self, sock: socket.socket, address: Any) -> None:
        self._server.accepted(sock, address)

    def resume(self) -> None:
        """Accept again, if it stopped because there were too many connections."""
        if self._watcher is None and self._timer is None and self.started and not self.full():
            self.start_accepting()

    def accept_all(self) -> None:
        """Take every connection that the kernel has queued."""
        while not self.full():
            accepted = self.do_read()
            if accepted is None:
                return
            self.do_handle(*accepted)
