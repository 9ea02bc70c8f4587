"""The server: accepts transport connections, counts what runs, and stops without losing any."""

from __future__ import annotations

import errno
import functools
import select
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from operator import itemgetter
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import gevent
import greenlet
from gevent.event import Event
from gevent.hub import get_hub
from gevent.monkey import get_original
from gevent.server import StreamServer

from gfcgi import limits
from gfcgi.addresses import LOOPBACK, Networks
from gfcgi.exiting import end_process
from gfcgi.options import Options
from gfcgi.printing import listed
from gfcgi.server import forks
from gfcgi.server.connection import Connection
from gfcgi.server.deadlines import Wheel, kept_grace_seconds
from gfcgi.server.greenlets import Greenlets
from gfcgi.server.hub_errors import hub_errors_logged
from gfcgi.server.line import Line
from gfcgi.server.own_pages import OwnPages, Page
from gfcgi.server.reports import Reports
from gfcgi.server.time_limit import TimeLimit, plain_stack
from gfcgi.server.transport import Turn
from gfcgi.unfailing_log import Log
from gfcgi.wsgi.gateway import Application, Gateway
from gfcgi.wsgi.observed import Observer, Observers
from gfcgi.wsgi.request import Request, name_of
from gfcgi.wsgi.webserver_rules import Rules

if TYPE_CHECKING:
    from gfcgi.server.request import ServerRequest
    from gfcgi.server.runners import Runners

_poll: Any = get_original("select", "poll")
_kernel_socket: Any = get_original("socket", "SocketType")
"""What socket.socket inherits from. What that adds is not needed here and took 1.6 µs."""

__all__ = ["Server"]

log = Log("gfcgi.server")

_UNIX: Final = int(socket.AF_UNIX)
_NO_DESCRIPTOR: Final = (errno.EMFILE, errno.ENFILE)
_SHORTAGES: Final = (*_NO_DESCRIPTOR, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_SECONDS: Final = 0.02
"""Between two looks whether somebody is still expected after a stop, or may connect again."""
_ROOM_SECONDS: Final = 0.05
"""Until the next look for an idle connection, if a new one waits and all others were busy."""
_IDLEST: Final = 64
"""Idle connections found in one look at all of them."""


class Server:
    """Serves a WSGI application on listening sockets, with one greenlet for each request.

    With ``options.threads`` the application runs in so many operating-system threads instead.

    Where max_connections are open, or no descriptor is left, the connection that has been idle for
    longest is closed for a new one.

    ``listeners`` are sockets that listen already; the server makes them non-blocking and closes
    them when it stops. ``multiprocess`` says that other processes may be accepting on the same
    sockets. ``still_expected`` is asked after a stop whether to go on accepting, until it says no.
    ``may_accept`` is asked before each connection is accepted: what it keeps out waits in the
    backlog. ``around`` is called with each request and with what answers it, which it has to call,
    where the application runs. ``observers`` are told of each request's begin and end.
    ``own_pages`` are answered before the application, by PATH_INFO.
    ``stack_of`` says for the log where code stands: a place on the first line, the stack below.

    Call all methods in the thread of the gevent hub that is current when the server is started; a
    signal handler of gevent's may call ``stop``.
    """

    def __init__(
        self,
        application: Application,
        listeners: Sequence[socket.socket],
        options: Options | None = None,
        *,
        multiprocess: bool = False,
        still_expected: Callable[[], bool] | None = None,
        may_accept: Callable[[], bool] | None = None,
        around: Callable[[Request, Callable[[Request], None]], None] | None = None,
        observers: Sequence[Observer] = (),
        own_pages: Mapping[str, Page] | None = None,
        stack_of: Callable[[FrameType | None], str] = plain_stack,
    ) -> None:
        self.options = options if options is not None else Options()
        self.multiprocess = multiprocess
        self._still_expected = still_expected
        self.may_accept = may_accept
        self._reports = Reports()
        threads = self.options.threads
        rules = Rules(self.options.script_name, self.options.trusted_proxies, self.options.rules)
        self._own_pages = OwnPages(own_pages, rules) if own_pages else None
        self._gateway = Gateway(
            application,
            multithread=threads != 1,
            multiprocess=bool(multiprocess),
            debug=self.options.debug,
            rules=rules,
            report=self._reports.warning,
            give_way=None if threads else Turn().give_way,
        )
        self._observers: Observers | None = None
        if observers:
            self._observers = Observers(observers, self._reports.observer_failed)
        self._time_limit = self._make_time_limit(stack_of)
        self.runners = self._make_runners(threads, around)
        self._line = self._make_line()
        self._connections: set[Connection] = set()
        self._idlest: list[tuple[float, Connection]] = []
        """Idle connections and since when, longest last, from the last look at all of them."""
        self._acceptors = [_Acceptor(self, listener) for listener in listeners]
        self._may_connect = functools.lru_cache(limits.PEERS_REMEMBERED)(self._in_networks)
        self._stopping = Event()
        self._empty = Event()
        self._empty.set()
        self._wheel = Wheel(self._tick_seconds(), monotonic())
        self._watch: Any = None

    def _make_runners(
        self,
        threads: int,
        around: Callable[[Request, Callable[[Request], None]], None] | None,
    ) -> Runners:
        answer: Callable[[Any], None] = self._gateway
        if around is not None:
            answer = functools.partial(_answer_within, around, answer)
        if self._time_limit is not None:
            answer = self._time_limit.timing(answer)
        if not threads:
            return Greenlets(answer, self._observers)
        from gfcgi.server.threads import Threads  # few ask for them

        return Threads(answer, threads, self._observers)

    def _make_time_limit(self, stack_of: Callable[[FrameType | None], str]) -> TimeLimit | None:
        seconds = self.options.request_timeout_seconds
        if not seconds:
            return None
        return TimeLimit(seconds, self._tick_seconds(), self._reports, stack_of)

    def _make_line(self) -> Line:
        options = self.options
        most, bound = options.max_concurrent_requests, "max_concurrent_requests"
        if 0 < options.threads < most:
            most, bound = options.threads, "threads"
        return Line(self.runners, most, bound, options.queue_timeout_seconds, self._reports)

    @property
    def waiting_requests(self) -> int:
        """How many requests wait in line."""
        return len(self._line)

    @property
    def active_requests(self) -> int:
        """How many requests have an application running, those that were aborted included."""
        return len(self.runners.running)

    @property
    def connections(self) -> int:
        """How many transport connections are open."""
        return len(self._connections)

    @property
    def requests(self) -> list[ServerRequest]:
        """Those that the application has, and those that wait in line."""
        return [*self.runners.running, *self._line]

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping.is_set()

    @property
    def open_connections(self) -> Collection[Connection]:
        """The transport connections themselves."""
        return self._connections

    # -- life

    def start(self) -> None:
        """Begin to accept."""
        interval = self._tick_seconds()
        self._watch = get_hub().loop.timer(interval, interval, ref=False)
        self._watch.start(self._check_timeouts)
        for acceptor in self._acceptors:
            acceptor.start()
        forks.call_in_children(self._leave)

    def _tick_seconds(self) -> float:
        """How exactly timeouts are kept: to a quarter of the shortest of them."""
        options = self.options
        shortest = min(
            options.params_timeout_seconds,
            options.idle_timeout_seconds,
            options.stdin_timeout_seconds,
            options.stdout_timeout_seconds,
            options.request_timeout_seconds or limits.LINGER_SECONDS,
            limits.LINGER_SECONDS,
        )
        return min(max(shortest / 4, 0.01), 5.0)

    def serve(self) -> None:
        """Start, and return when ``stop`` was called and what ran is done or was cut.

        Switches greenlets. It can be called once: the listeners are closed afterwards.
        """
        with hub_errors_logged():
            self.start()
            try:
                self._stopping.wait()
                while self._still_expected is not None and self._still_expected():
                    gevent.sleep(_PAUSE_SECONDS)
            finally:
                self._shut_down()

    def stop(self) -> None:
        """Have ``serve`` accept no more and finish what runs within graceful_timeout_seconds.

        Returns at once and does not switch greenlets.
        """
        self.runners.when_done = self._check_empty
        self._stopping.set()

    def cut(self) -> None:
        """Finish nothing: close every connection, and end every request as far as it can be.

        For a ``serve`` that has been told to stop. May switch greenlets.
        """
        for connection in list(self._connections):
            connection.cut()
        for request in list(self.runners.running):
            self.runners.kill(request)

    def _shut_down(self) -> None:
        for acceptor in self._acceptors:
            # Who has connected already expects an answer.
            acceptor.accept_all()
            acceptor.close()
        if not self._drain():
            running = [name_of(request) for request in self.requests]
            log.warning(
                "still running after %g seconds, and cut: %s",
                self.options.graceful_timeout_seconds,
                listed(running) or "connections without a whole request",
            )
            self.cut()
            self._empty.wait(1)
        self._idlest.clear()
        self._line.close()
        self.runners.close()
        self._watch.close()

    def _leave(self) -> None:
        """Take no part in serving, in a child process that the application has just forked.

        What is open belongs to the parent. The request that forked goes on and sends nothing; the
        process ends with it.
        """
        if self._observers is not None:
            self._observers.leave()
        for acceptor in self._acceptors:
            acceptor.close()
        if self._watch is not None:
            self._watch.close()
        self._line.close()
        for connection in self._connections:
            connection.leave()
        request = self.runners.current
        if request is not None:
            request.abort("this process was forked")
            self.runners.when_done = end_process
            self._gateway.on_exit = end_process

    def _drain(self) -> bool:
        """Wait until everything has ended, and return whether it has in time."""
        grace = kept_grace_seconds(self.options)
        until = monotonic() + self.options.graceful_timeout_seconds
        for connection in list(self._connections):
            connection.drain()
        self._check_empty()
        # A timer of libev's may be a millisecond early, which would be too early for all of them.
        if not self._empty.wait(grace + 0.005):
            for connection in list(self._connections):
                connection.drain()  # those that have been idle since the stop
            self._empty.wait(max(0.0, until - monotonic()))
        return self._empty.is_set()

    # -- connections

    def accepted(self, sock: socket.socket, address: Any) -> None:
        """Serve a new transport connection; at once, where it is the hub that calls."""
        try:
            connection = self._connect(sock, address)
        except Exception as error:
            # Costs this connection and no other, as an error in a Connection does.
            sock.close()
            self._reports.failure(lambda: "a connection that was accepted", error)
            return
        if connection is None:
            return
        hub = get_hub()
        if greenlet.getcurrent() is hub:
            connection.start()
        else:
            # Start requests from the hub, so that control returns to it when they block.
            hub.loop.run_callback(connection.start)

    def _connect(self, sock: socket.socket, address: Any) -> Connection | None:
        """Make a Connection of a socket, or close it if its other side may not connect."""
        if sock.family != _UNIX:
            if not self._may_connect(address[0]):
                sock.close()
                self._reports.not_allowed(address[0], str(self._networks))
                return None
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(
            sock,
            address,
            self.options,
            self.runners,
            self._line,
            self._reports,
            self._wheel,
            on_closed=self._forget,
            own_pages=self._own_pages,
        )
        self._connections.add(connection)
        self._empty.clear()
        return connection

    @functools.cached_property
    def _networks(self) -> Networks:
        """Who may connect over TCP; not looked at where Web servers come by a UNIX socket."""
        return Networks(self.options.allow_from or LOOPBACK)

    def _in_networks(self, host: str) -> bool:
        return host in self._networks

    def _forget(self, connection: Connection) -> None:
        """Forget a connection, and accept again if there were too many."""
        self._connections.discard(connection)
        for acceptor in self._acceptors:
            if acceptor.paused:
                acceptor.resume()
        if not self._connections:
            self._check_empty()

    @property
    def full(self) -> bool:
        """Whether as many connections are open as may be."""
        return len(self._connections) >= self.options.max_connections

    def make_room(self, shortage: str) -> bool:
        """Close the connection that has been idle for longest; return whether there is one.

        ``shortage`` says for the log what there is too little of.
        """
        for look in (False, True):
            if look:
                self._find_idlest()
            while self._idlest:
                since, connection = self._idlest.pop()
                if connection.make_room(since):
                    self._reports.made_room(shortage)
                    return True
        return False

    def _find_idlest(self) -> None:
        # nginx keeps its idle connections in a queue. That would be work for every request, for
        # the sake of what is rare; so this looks at all of them, once for many.
        found = [(connection.idle_since(), connection) for connection in self._connections]
        idle = sorted((pair for pair in found if pair[0]), key=itemgetter(0))
        self._idlest = idle[_IDLEST - 1 :: -1] if len(idle) >= _IDLEST else idle[::-1]

    def report_no_room(self) -> None:
        """Log that a connection waits to be accepted."""
        self._reports.no_room(self.options.max_connections)

    def _check_empty(self) -> None:
        if not self._connections and not self.active_requests:
            self._empty.set()

    def _check_timeouts(self) -> None:
        """Enforce timeouts and trim idle greenlets."""
        now = monotonic()
        for connection in self._wheel.due(now):
            connection.check_timeouts(now)
        if self._time_limit is not None:
            self._time_limit.look(self.runners)
        self.runners.trim()

    def report_shortage(self, error: OSError) -> None:
        """Log that a connection could not be accepted."""
        self._reports.shortage(error)


def _answer_within(
    around: Callable[[Request, Callable[[Request], None]], None],
    answer: Callable[[Request], None],
    request: Request,
) -> None:
    around(request, answer)


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
        self._kind = listener.family, listener.type, listener.proto
        self._server = server
        self.paused = False
        """Whether it waits for another connection's end."""
        if server.multiprocess:
            # Leave some for the others, as gevent's own pywsgi does.
            self.max_accept = 1

    def do_read(self) -> tuple[socket.socket, Any] | None:  # type: ignore[override]
        server = self._server
        if server.may_accept is not None and not server.may_accept():
            self._pause(_PAUSE_SECONDS)
            return None
        if server.full and not self._make_room():
            return None
        while True:
            try:
                descriptor, address = self.socket._accept()
            except (BlockingIOError, ConnectionAbortedError):
                return None
            except OSError as error:
                if error.errno not in _SHORTAGES:
                    raise
                if error.errno in _NO_DESCRIPTOR:
                    if not self._somebody_waits():
                        return None
                    if server.make_room(str(error)):
                        continue
                server.report_shortage(error)
                self._pause(self.max_delay)
                return None
            break
        sock = _kernel_socket(*self._kind, descriptor)
        sock.setblocking(False)
        return sock, address

    def _somebody_waits(self) -> bool:
        """Whether a connection is queued. Does not wait, and needs no descriptor."""
        poll = _poll()
        poll.register(self.socket, select.POLLIN)
        return bool(poll.poll(0))

    def _make_room(self) -> bool:
        """Have an idle connection closed, if a new one waits; return whether one was."""
        if not self._somebody_waits():
            return False
        server = self._server
        if server.make_room(f"{server.connections} connections are open (max_connections)"):
            return True
        if not self.paused:
            server.report_no_room()
        self._pause(_ROOM_SECONDS)
        return False

    def _pause(self, seconds: float) -> None:
        """Try again a little later: the connections wait in the backlog."""
        self.paused = True
        if self._watcher is not None:
            self.stop_accepting()
            self._timer = self.loop.timer(seconds)
            self._timer.start(self._start_accepting_if_started)

    def do_handle(self, sock: socket.socket, address: Any) -> None:
        self._server.accepted(sock, address)

    def resume(self) -> None:
        """Accept again."""
        self.paused = False
        self.stop_accepting()
        self._start_accepting_if_started()

    def accept_all(self) -> None:
        """Take every connection that the kernel has queued."""
        while True:
            accepted = self.do_read()
            if accepted is None:
                return
            self.do_handle(*accepted)
