"""One transport connection: its records are read in the hub, its requests run beside it.

Reading is a callback of the event loop, not a greenlet that waits. When bytes come, it pulls events
out of the core and starts a new request directly. It has control back when the request first blocks
or is done. So a request that came in one read is answered without another turn of the loop. A
request that sleeps costs one greenlet. The callback goes on meanwhile: it notices a Web server that
leaves, and begins the other requests of a multiplexed connection.

How the connection lives and ends, whatever runs on it, is in ``connection_life``.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import greenlet
from gevent import get_hub

from gfcgi import limits
from gfcgi.errors import Fatal, RemoteProtocolError, RequestAborted
from gfcgi.protocol import (
    NEED_DATA,
    AbortRequest,
    ApplicationConnection,
    BeginRequest,
    Data,
    GetValues,
    GetValuesResult,
    ProtocolStatus,
    Stdin,
    UnknownType,
)
from gfcgi.server import deadlines
from gfcgi.server.connection_life import ConnectionLife
from gfcgi.server.get_values import MPXS_CONNS, values_of
from gfcgi.server.phases import Phase
from gfcgi.server.reports import outside_hub
from gfcgi.server.request import ServerRequest
from gfcgi.wsgi.pages import error_page, refusal
from gfcgi.wsgi.webserver_quirks import (
    aborts_what_it_waits_for,
    may_write_late,
    overloaded_status,
    stopping_status,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from gfcgi.options import Options
    from gfcgi.protocol.events import Bytes
    from gfcgi.protocol.events import Event as ProtocolEvent
    from gfcgi.server.deadlines import Late, Wheel
    from gfcgi.server.input_stream import InputStream
    from gfcgi.server.line import Line
    from gfcgi.server.own_pages import OwnPages
    from gfcgi.server.reports import Reports
    from gfcgi.server.runners import Runners

__all__ = ["Connection"]

# Looked up once: a member of an enum costs some 100 ns on the way of every request.
_OPEN: Final = Phase.OPEN
_DRAINING: Final = Phase.DRAINING
_LINGERING: Final = Phase.LINGERING
_TAKES_REQUESTS: Final = (_OPEN, _DRAINING)

_LEAST_BYTES: Final = 4 * limits.KIB
"""Asked of the socket even where a bound on the body leaves less; records have headers too."""

_CATCH_UP_READS: Final = 16
"""Reads before anything is judged late, of 64 KB each: more than a socket's buffer holds."""


def _detach(error: RemoteProtocolError) -> None:
    """Free an error of what refers to the core: the core keeps its last error, to raise it again.

    Otherwise the two would wait for the garbage collector.
    """
    error.__traceback__ = None
    error.__context__ = None


class Connection(ConnectionLife):
    """A transport connection and the requests on it.

    ``on_closed`` is called when the socket is closed.

    ``own_pages`` finds requests that are not the application's.

    ``multiplexed`` says whether the Web server has had two requests active at once, or has asked
    whether it may. From then on reading goes on whatever one application does, because the others
    need it. Only a Web server that does not read our answers holds its connection up.
    """

    __slots__ = (
        "_cut",
        "_cut_timer",
        "_fed",
        "_full_streams",
        "_line",
        "_on_closed",
        "_own_pages",
        "_pulling",
        "_ready",
        "_runners",
        "_writes_late",
        "core",
        "multiplexed",
        "requests",
    )

    def __init__(
        self,
        sock: socket.socket,
        address: object,
        options: Options,
        runners: Runners,
        line: Line,
        reports: Reports,
        wheel: Wheel,
        *,
        on_closed: Callable[[Connection], None],
        own_pages: OwnPages | None = None,
    ) -> None:
        super().__init__(sock, address, options, reports, wheel)
        self.multiplexed = False
        self.core = ApplicationConnection(
            max_params_bytes=options.max_params_bytes,
            max_params_pairs=options.max_params_pairs,
            max_concurrent_requests=options.max_concurrent_requests_per_connection,
        )
        self.requests: dict[int, ServerRequest] = {}
        """By request id: those that the application has or is about to have."""
        self._runners = runners
        self._line = line
        self._on_closed = on_closed
        self._own_pages = own_pages
        self._ready: ServerRequest | None = None
        """A request that has not been started, because its STDIN may follow at once."""
        self._fed: InputStream | None = None
        """A stream that has new bytes; its application has not been woken yet."""
        self._full_streams: tuple[InputStream, ...] = ()
        self._cut: tuple[int, ...] = ()
        """Requests whose response was cut: the connection's end is to show it, after the others."""
        self._cut_timer: Any = None
        self._pulling = False
        self._writes_late = False
        """Whether a Web server that wants the close may write after the end of its request."""

    # -- what can be asked

    @property
    def paused(self) -> bool:
        """Whether reading waits for an application to read the body of its request."""
        return bool(self._full_streams)

    # -- what the hub calls

    def start(self) -> None:
        """Serve the connection; called in the hub.

        It reads at once: a Web server connects when it has a request, so bytes are mostly there.
        """
        try:
            self._start()
        except Exception as error:
            self._failed(error)

    def _on_readable(self) -> None:
        # As _guarded does. This is on the way of every request, and a call there costs 0.2 µs.
        try:
            self._read()
        except Exception as error:
            self._failed(error)

    # -- reading

    def _start(self) -> None:
        if self.closed:
            return  # before it was this connection's turn
        self._read()
        # Few Web servers that want the close are still there now, and need a watcher.
        if not self.closed:
            if not (self._full_streams or self._blocking):
                self._transport.start_reading(self._on_readable)
            self._watch()

    def _read(self) -> None:
        """Take what has arrived."""
        try:
            # Without a request nothing but the beginning of one can come.
            most = self._most() if self.requests else limits.RECV_BYTES
            data = self._transport.receive_now(most)
        except OSError as error:
            self._reports.debug(self._peer(), error)
            self._give_up()
            return
        if data is None:
            return
        if not data:
            self._end_of_input()
        elif self.phase is _LINGERING:
            self._drop_late_bytes(len(data))
        else:
            self.core.receive_data(data)
            if self.core.ignored_bytes > self.options.max_drain_bytes:
                self._reports.debug(self._peer(), "too long a body that nobody reads")
                self._give_up()
            else:
                self._pull()

    def _most(self) -> int:
        """How many bytes to ask of the socket."""
        if self.multiplexed:
            return limits.RECV_BYTES
        # Only the body of one request can come. Long reads make a large upload cheap.
        (request,) = self.requests.values()
        return max(request.window, _LEAST_BYTES)

    def _end_of_input(self) -> None:
        if self.phase is not _LINGERING:
            try:
                self.core.receive_eof()
            except RemoteProtocolError as error:
                _detach(error)
                self._reports.protocol_error(self._peer(), error)
        self._give_up()

    def _catch_up(self) -> None:
        """Read what is there: it may have come in time, while the loop stood still."""
        for _ in range(_CATCH_UP_READS):
            if self.closed or not (self._transport.reading and self._transport.has_bytes()):
                return
            self._read()

    # -- acting on what was read

    def _pull(self) -> None:
        """Act on every event that the received bytes make."""
        if self._pulling or self._blocking:
            return
        self._pulling = True
        try:
            while self.phase in _TAKES_REQUESTS and self._take_event():
                pass
        finally:
            if self._fed is not None:
                self._wake_fed()
            self._pulling = False
        if not self._blocking:
            self._after_events()

    def _take_event(self) -> bool:
        """Act on one event, and return whether to go on."""
        try:
            event = self.core.next_event()
        except RemoteProtocolError as error:
            _detach(error)
            self._run_blocking(self._reject, error)
            return False
        if event is NEED_DATA:
            # Let an application go on with all that came.
            if self._ready is not None:
                self._run_ready()
            elif self._fed is not None:
                self._wake_fed()
            else:
                return False
            return True
        if type(event) is Stdin:
            request = self.requests.get(event.request_id)
            if request is self._ready and request is not None and not event.data:
                request.stdin.feed(event.data)  # there is nobody to be woken yet
                self._run_ready()
            elif request is not None:
                self._feed(request.stdin, event.data)
        elif type(event) is BeginRequest:
            if self._ready is not None:
                self._run_ready()
            return self._begin(event)
        elif type(event) is Data:
            request = self.requests.get(event.request_id)
            if request is not None and request.data is not None:
                self._feed(request.data, event.data)
        else:
            self._run_blocking(self._answer, event)
            return False
        return True

    def _feed(self, stream: InputStream, data: Bytes) -> None:
        """Give bytes to a stream. Its application is woken when no more of them are here."""
        if self._fed is not stream:
            if self._fed is not None:
                self._wake_fed()
            self._fed = stream
        stream.feed(data)

    def _wake_fed(self) -> None:
        fed = self._fed
        if fed is not None:
            self._fed = None
            fed.wake()

    def _run_ready(self) -> None:
        """Run the application, and return when it is done or when it first blocks."""
        request = self._ready
        if request is not None:
            self._ready = None
            self._runners.start(request)

    def _begin(self, event: BeginRequest) -> bool:
        """Take on a request, or return False if it is being refused."""
        if not event.keep_conn and may_write_late(event.params):
            self._writes_late = True
        if self._own_pages is not None:
            make = self._own_pages.find(event)
            if make is not None:
                self._run_blocking(self._answer_own, (event.request_id, make))
                return False
        waits = len(self._runners.running) >= self._line.places
        if waits and self._line.full:
            self._run_blocking(self._overload, event)
            return False
        shared = bool(self.requests)
        if shared:
            self._multiplex()
        self._deadlines.request_begun()
        request = ServerRequest(event, self.core, self.output, self)
        self.requests[event.request_id] = request
        if waits:
            self._wait_in_line(request)
        else:
            self._ready = request
        if self._cut or (shared and self.phase is _DRAINING):
            request.protocol_status = stopping_status(request.params)
        return True

    def _wait_in_line(self, request: ServerRequest) -> None:
        """Have a request wait until fewer run. What comes of its body is not taken meanwhile."""
        request.hold_back()
        self._line.enter(request, self)

    def _multiplex(self) -> None:
        if not self.multiplexed:
            self.multiplexed = True
            self._full_streams = ()
            self._read_on()

    def _after_events(self) -> None:
        """See what is left to wait for: the next request, the rest of one, or nothing."""
        core = self.core
        if self.phase not in _TAKES_REQUESTS:
            return
        if core.should_close:
            self._end_answered()
            return
        if self._cut:
            self._end_cut_soon()
        if self.phase is _DRAINING:
            self._end_idle()
        if core.anything_incomplete or self._deadlines.anything_incomplete:
            self._watch_incomplete()

    def _end_answered(self) -> None:
        """Close: every request was answered, and one came without KEEP_CONN (§3.5)."""
        core = self.core
        if self.output.lock.locked():
            self._check_soon()
        elif self._writes_late or core.input_was_lost or core.in_record:
            self._linger()
        else:
            self._give_up()

    def _end_idle(self) -> None:
        """Close if nothing is going on: the server stops."""
        if not self._idle() or self._deadlines.expects_request(monotonic()):
            self._check_soon()
        elif self._transport.has_bytes():
            self._read()  # the next request may be here
        else:
            self._give_up()

    def _idle(self) -> bool:
        """Whether nothing is going on that closing would cut."""
        core = self.core
        return not (
            self.requests or core.active_requests or core.in_record or self.output.lock.locked()
        )

    def _go_on(self) -> None:
        if not self.core.active_requests:
            self._deadlines.became_idle(monotonic())
        self._read_on()
        self._pull()
        self._watch()

    def idle_since(self) -> float:
        """Return since when (monotonic) nothing is going on; 0 if closing would cut something."""
        if self.phase is _LINGERING:
            return self._deadlines.idle_since
        if not self._idle() or self._deadlines.expects_first_byte(monotonic()):
            return 0.0
        return self._deadlines.idle_since

    def make_room(self, since: float) -> bool:
        """Close for another connection, if this one has been idle since then; return whether."""
        if self.closed or self.idle_since() != since or self._transport.has_bytes():
            return False
        self._give_up()
        return True

    # -- what the server answers itself (it may block)

    def _reject(self, error: RemoteProtocolError) -> None:
        self._reports.protocol_error(self._peer(), error)
        if error.fatal is Fatal.TRANSPORT_CONNECTION:
            self._give_up()
        else:
            self._refuse(error.request_id, error.http_status, error.protocol_status)

    def _answer(self, event: ProtocolEvent) -> None:
        """Act on the rarer events."""
        if isinstance(event, AbortRequest):
            request = self.requests.get(event.request_id)
            if request is not None and request.whole and aborts_what_it_waits_for(request.params):
                return
            self._drop(event.request_id, "the Web server has aborted the request")
            self._cut = tuple(cut for cut in self._cut if cut != event.request_id)
            self.output.write(self.core.send_end(event.request_id))
        elif isinstance(event, GetValues):
            values = values_of(self.options, event.names)
            if values.get(MPXS_CONNS) == "1":
                self._multiplex()
            self._deadlines.asked(monotonic())
            self.output.write(self.core.send(GetValuesResult(values)))
        elif isinstance(event, UnknownType):
            self.output.write(self.core.send(event))

    def _answer_own(self, what: tuple[int, Callable[[], bytes]]) -> None:
        """Answer a request for a page of ours; ``what`` is its id, and what makes the page."""
        request_id, make = what
        self._deadlines.request_refused(request_id)
        self.output.write(self.core.send_end(request_id, make()))

    def _overload(self, event: BeginRequest) -> None:
        self._line.refused()
        status = overloaded_status(ProtocolStatus.OVERLOADED, event.params)
        http_status = "503 Service Unavailable"
        page = refusal(http_status, event.params)
        observers = self._runners.observers
        if observers is not None:
            observers.refused(event.params, page)
        self._refuse(event.request_id, http_status, status, page)

    def _refuse_late(self, request_id: int) -> None:
        status = int(ProtocolStatus.REQUEST_COMPLETE)
        self._refuse(request_id, "408 Request Timeout", status)

    def _refuse(
        self, request_id: int, http_status: str, protocol_status: int, page: bytes = b""
    ) -> None:
        """Answer a request with ``page``, or with the usual one for the status (§5.5)."""
        if self.requests:
            beside = next(iter(self.requests.values()))
            protocol_status = overloaded_status(protocol_status, beside.params)
        page = page or error_page(http_status)
        self._drop(request_id, f"the request was refused: {http_status}", page)
        self.output.write(self.core.send_end(request_id, page, protocol_status=protocol_status))

    # -- what the line asks (line.Waiting)

    def let_in(self, request: ServerRequest) -> None:
        """Start a request that was in line, unless its Web server has left meanwhile."""
        self._guarded(self._let_in, request)

    def _let_in(self, request: ServerRequest) -> None:
        # Who is not read from is not heard when he leaves.
        if self._full_streams and self._transport.has_left():
            self._give_up()
            self._line.has_ended(request)
            return
        request.let_in()
        self._runners.start(request)

    def turn_away(self, request: ServerRequest) -> None:
        """Refuse a request that was in line for too long. Others go on, whatever this waits for."""
        greenlet.greenlet(self._guarded, get_hub()).switch(self._turn_away, request)

    def _turn_away(self, request: ServerRequest) -> None:
        page = refusal(
            "503 Service Unavailable",
            request.params,
            "The application is handling as many requests as it can, and none of them was done in"
            " time. Please try again.",
        )
        if not request.protocol_status:
            status = overloaded_status(ProtocolStatus.OVERLOADED, request.params)
            request.protocol_status = status
        try:
            request.finish(page)
        except RequestAborted as error:
            self._reports.debug(self._peer(), error)
        finally:
            self._line.has_ended(request)
            request.release()

    # -- what a request asks (request.RequestOwner)

    def request_ending(self, request_id: int) -> None:
        del self.requests[request_id]

    def request_ended(self) -> None:
        if self._cut:
            self._end_cut_soon()
        elif self.core.should_close or self.phase is _DRAINING:
            if not self._pulling:
                self._soon(self._pull)
        elif not self.requests:
            self._deadlines.became_idle(monotonic())
            if not self.tick:
                self._watch()

    @property
    def shared(self) -> bool:
        return self.core.active_requests > 1

    def request_cut(self) -> None:
        # Let the Web server read the response up to here, and then the end.
        self._linger()

    def request_cut_beside_others(self, request_id: int) -> None:
        self._cut = (*self._cut, request_id)
        self._send_elsewhere()
        self._end_cut_soon()

    def _end_cut_soon(self) -> None:
        """Close if nothing but cut responses is left, and nothing comes for a moment."""
        if self.core.active_requests == len(self._cut) and not self.closed:
            if self._cut_timer is None:
                self._cut_timer = get_hub().loop.timer(limits.CUT_GRACE_SECONDS)
            self._cut_timer.stop()
            self._cut_timer.start(self._guarded, self._end_cut)

    def _end_cut(self) -> None:
        if self.closed or self.core.active_requests != len(self._cut):
            return  # request_ended comes back to it
        if self._transport.has_bytes():
            self._read()
            self._end_cut_soon()
        elif self.core.in_record or self.output.lock.locked():
            self._end_cut_soon()
        else:
            self._linger()

    def _send_elsewhere(self) -> None:
        """Have the answers of what runs tell the Web server to use another connection."""
        for request in self.requests.values():
            request.protocol_status = stopping_status(request.params)

    # -- what a stream asks (input_stream.StreamOwner)

    def pause_for(self, stream: InputStream) -> None:
        if stream not in self._full_streams:
            self._full_streams = (*self._full_streams, stream)
        self._transport.stop_reading()
        self._deadlines.paused(monotonic())
        # Meanwhile nobody reads, so only a look from time to time shows that the Web server left.
        self._check_soon()

    def resume_from(self, stream: InputStream) -> None:
        full = self._full_streams
        if stream in full:
            self._full_streams = tuple(other for other in full if other is not stream)
            self._read_on()

    def stream_waits(self, stream: InputStream, since: float) -> None:
        self._deadlines.body_waits(stream, since)
        if since:
            self._watch()

    def _read_on(self) -> None:
        """Read on, if nothing else is in the way."""
        if not (self._full_streams or self._blocking or self.closed):
            self._deadlines.resumed(monotonic())
            self._transport.start_reading(self._on_readable)
            self._watch()

    # -- timeouts

    def _watch_incomplete(self) -> None:
        """Set the clocks of what has come in part."""
        core = self.core
        has_clock = core.has_buffered_data or (core.in_record and not core.active_requests)
        number = core.records_begun if has_clock else -1
        self._deadlines.incomplete(core.incomplete_params, number, monotonic())
        self._watch()

    def _check_timeouts(self, now: float) -> None:
        super()._check_timeouts(now)
        if self._full_streams and self._transport.has_hung_up():
            self._give_up()
        if self.core.should_close or self.phase is _DRAINING:
            # The last writer may be done. If it was killed, no event says so.
            self._pull()
        if self._full_streams:
            self._check_soon()
        else:
            self._watch()

    def _end_late(self, late: Late) -> None:
        """Give up what is late: a body, a request, or all of the connection."""
        kind = late.kind
        if kind == deadlines.BODY:
            self._end_late_body(late)
        elif kind == deadlines.PARAMS:
            self._end_late_params(late)
        elif kind == deadlines.RECORD:
            params = self.core.has_buffered_data
            what = "PARAMS have been incomplete" if params else "a record has been incomplete"
            self._expired(f"{what} for", late.seconds)
        else:
            super()._end_late(late)

    def _end_late_body(self, late: Late) -> None:
        """Make the application's read fail; it may still answer."""
        for request in list(self.requests.values()):
            if late.of is request.stdin or late.of is request.data:
                self._reports.expired(self._peer(), "no body has come for", late.seconds)
                request.time_out(f"no bytes of the body came for {late.seconds:.3g} seconds")

    def _end_late_params(self, late: Late) -> None:
        """Refuse one request; where it is the only one, the connection goes with it."""
        if self.core.active_requests == 1:
            self._expired("PARAMS have been incomplete for", late.seconds)
        elif not self._blocking:
            what = f"PARAMS of request {late.of} have been incomplete for"
            self._reports.expired(self._peer(), what, late.seconds)
            self._run_blocking(self._refuse_late, late.of)

    # -- ending

    def drain(self) -> None:
        """Close as soon as nothing is active.

        A connection that is idle stays for a while (kept_grace_seconds). Call it again after that.
        """
        self._deadlines.drains(monotonic())
        if self.phase is _DRAINING:
            self._soon(self._pull)
        elif self._enter(_DRAINING):
            if self.multiplexed:
                self._send_elsewhere()
            self._soon(self._pull)
            self._watch()
        elif self.phase is _LINGERING and self._idle() and not self._transport.has_bytes():
            self._give_up()

    def leave(self) -> None:
        """Let go of the connection in a forked child; it goes on in the parent.

        The Web server is told nothing, and no other greenlet wakes up.
        """
        self._enter(Phase.GIVEN_UP)
        self._enter(Phase.CLOSED)
        self.output.leave()
        for request in self.requests.values():
            request.ended = True
        self._transport.close()

    def _drop(self, request_id: int, reason: str, page: bytes = b"") -> None:
        """Abort a request, whether the application has it or not; send nothing.

        ``page`` is what it will be answered with, for those who observe it.
        """
        self._deadlines.request_refused(request_id)
        request = self.requests.pop(request_id, None)
        if request is not None:
            if page and request.observed is not None:
                request.observed.count(page)
            never_ran = request is self._ready
            if never_ran:
                self._ready = None
            request.abort(reason)
            self._line.leave(request)
            observers = self._runners.observers
            if never_ran and observers is not None:
                outside_hub(observers.refused, request.params, page, request)

    def _abort_requests(self, reason: str) -> None:
        for request_id in list(self.requests):
            self._drop(request_id, reason)

    def _closed(self) -> None:
        if self._cut_timer is not None:
            self._cut_timer.close()
        self._on_closed(self)
