"""One transport connection: its records are read in the hub, its requests run in greenlets.

Reading is a callback of the event loop, not a greenlet that waits. When bytes come it pulls events
out of the core and switches to a new request's greenlet directly, and has control back when that
first blocks or is done. So a request that came in one read is answered without another turn of the
loop; and one that sleeps costs one greenlet, while the callback goes on noticing a Web server that
leaves and beginning the other requests of a multiplexed connection.

The hub must not block. What is rare and has to write, a refusal for one, is done aside, in a
greenlet for the purpose, with reading stopped meanwhile.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

import greenlet
from gevent.hub import get_hub

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
from gfcgi.server.output import Output
from gfcgi.server.request import ServerRequest
from gfcgi.server.transport import Transport
from gfcgi.server.values import MPXS_CONNS, values_of
from gfcgi.wsgi.pages import error_page
from gfcgi.wsgi.webservers import overloaded_status

if TYPE_CHECKING:
    from collections.abc import Callable

    from gfcgi.protocol.events import Bytes
    from gfcgi.protocol.events import Event as ProtocolEvent
    from gfcgi.server.server import Server
    from gfcgi.server.streams import InputStream

__all__ = ["Connection"]

_LEAST_BYTES: Final = 4 * limits.KIB
"""Asked of the socket even where a bound on the body leaves less; records have headers too."""

_CLOSED: Final = "the Web server has closed the transport connection"


class Connection:
    """A transport connection and the requests on it.

    ``multiplexed`` is whether the Web server has had two requests active at once, or has asked
    whether it may: from then on nothing that one application does may stop the reading for the
    others. Only a Web server that does not read what we send it holds its connection up.
    """

    __slots__ = (
        "_aside_runs",
        "_close_begun",
        "_drained_bytes",
        "_draining",
        "_full_streams",
        "_last_read",
        "_lingering",
        "_params_since",
        "_paused_until",
        "_peer",
        "_pulling",
        "_ready",
        "_requests",
        "_server",
        "_silent",
        "_transport",
        "closed",
        "core",
        "multiplexed",
        "options",
        "output",
    )

    def __init__(self, server: Server, sock: socket.socket, peer: Callable[[], str]) -> None:
        options = server.options
        self.options = options
        self.core = ApplicationConnection(
            max_params_bytes=options.max_params_bytes,
            max_params_pairs=options.max_params_pairs,
            max_concurrent_requests=options.max_concurrent_requests_per_connection,
        )
        self.multiplexed = False
        self.closed = False
        self._server = server
        self._peer = peer
        self._transport = Transport(sock)
        self.output = Output(self.core, self._transport, self._give_up)
        self._requests: dict[int, ServerRequest] = {}
        self._ready: ServerRequest | None = None
        self._full_streams: tuple[InputStream, ...] = ()
        self._last_read = get_hub().loop.now()
        self._params_since = 0.0
        self._paused_until = 0.0
        self._drained_bytes = 0
        self._silent = True
        self._pulling = False
        self._aside_runs = False
        self._draining = False
        self._lingering = False
        self._close_begun = False

    # -- reading (in the hub)

    def start(self) -> None:
        """Serve the connection; called in the hub. A Web server connects because it has something
        to say: it is mostly there already.
        """
        self._transport.start_reading(self._read)
        self._read()

    def _read(self) -> None:
        """Take what has arrived."""
        try:
            data = self._transport.receive_now(self._most())
        except OSError as error:
            self._server.log_debug(self._peer(), error)
            self._close()
            return
        if data is None:
            return
        self._silent = False
        self._last_read = get_hub().loop.now()
        if not data:
            self._end_of_input()
        elif self._lingering:
            self._drained_bytes += len(data)
            if self._drained_bytes > self.options.max_drain_bytes:
                self._close()
        else:
            self.core.receive_data(data)
            if self.core.ignored_bytes > self.options.max_drain_bytes:
                self._server.log_debug(self._peer(), "too long a body that nobody reads")
                self._close()
            else:
                self._pull()

    def _most(self) -> int:
        """How many bytes to ask of the socket."""
        if self.multiplexed or not self._requests:
            return limits.RECV_BYTES
        # What can come is the body of one request. Long reads make a large upload cheap.
        (request,) = self._requests.values()
        return max(request.room, _LEAST_BYTES)

    def _end_of_input(self) -> None:
        if not self.closed and not self._lingering:
            try:
                self.core.receive_eof()
            except RemoteProtocolError as error:
                self._server.report(self._peer(), error)
        self._close()

    def _pull(self) -> None:
        """Act on every event that the received bytes make."""
        if self._pulling or self._aside_runs:
            return
        core = self.core
        fed: InputStream | None = None
        self._pulling = True
        try:
            while not self.closed:
                try:
                    event = core.next_event()
                except RemoteProtocolError as error:
                    self._aside(self._reject, error)
                    return
                if event is NEED_DATA:
                    if self._ready is not None:
                        self._start(self._ready)
                    elif fed is not None:
                        fed.wake()
                        fed = None
                    else:
                        break
                elif type(event) is Stdin:
                    request = self._requests.get(event.request_id)
                    if request is not None:
                        stream = request.stdin
                        if fed is not None and fed is not stream:
                            fed.wake()
                        fed = stream
                        stream.feed(event.data)
                        if request is self._ready and not event.data:
                            self._start(request)
                elif type(event) is BeginRequest:
                    if self._ready is not None:
                        self._start(self._ready)
                    if not self._begin(event):
                        return
                elif type(event) is Data:
                    request = self._requests.get(event.request_id)
                    if request is not None and request.data is not None:
                        if fed is not None and fed is not request.data:
                            fed.wake()
                        fed = request.data
                        fed.feed(event.data)
                else:
                    self._aside(self._answer, event)
                    return
        finally:
            if fed is not None:
                fed.wake()
            self._pulling = False
        self._rest()

    def _rest(self) -> None:
        """All is done that could be: see what is left to wait for."""
        if self.closed:
            return
        core = self.core
        if core.should_close and not self._lingering and not self.output.lock.locked():
            if core.input_was_lost or core.in_record:
                # Let a Web server that still sends finish, so that it reads our answer to the end.
                self._lingering = True
                self._transport.shut_down(socket.SHUT_WR)
            else:
                self._close()
        elif self._draining and self._idle() and not self._expects_first_bytes():
            # Its next request may be here without having been read.
            if self._transport.has_bytes():
                self._read()
            else:
                self._close()
        elif not core.receiving_params:
            self._params_since = 0.0
        elif not self._params_since:
            self._params_since = self._last_read

    def _expects_first_bytes(self) -> bool:
        """Whether the Web server has connected just now, and its request must be on the way."""
        return self._silent and get_hub().loop.now() - self._last_read < limits.FIRST_BYTES_SECONDS

    def _idle(self) -> bool:
        """Whether nothing is going on that closing would cut."""
        core = self.core
        return not (
            self._requests or core.active_requests or core.in_record or self.output.lock.locked()
        )

    # -- aside (in a greenlet of its own)

    def _aside(self, act: Callable[[Any], None], what: Any) -> None:
        """Do what may block, and pull on when it is done; called in the hub."""
        self._aside_runs = True
        self._transport.stop_reading()
        greenlet.greenlet(self._run_aside, get_hub()).switch(act, what)

    def _run_aside(self, act: Callable[[Any], None], what: Any) -> None:
        try:
            act(what)
        except RequestAborted as error:
            self._server.log_debug(self._peer(), error)
        finally:
            get_hub().loop.run_callback(self._go_on)

    def _go_on(self) -> None:
        self._aside_runs = False
        if not self.closed:
            self._read_again()
            self._pull()

    def _read_again(self) -> None:
        if not (self._full_streams or self._aside_runs or self.closed):
            self._transport.start_reading(self._read)

    def _reject(self, error: RemoteProtocolError) -> None:
        self._server.report(self._peer(), error)
        if error.fatal is Fatal.TRANSPORT_CONNECTION:
            self._close()
        else:
            status = error.protocol_status
            if self._requests:
                beside = next(iter(self._requests.values()))
                status = overloaded_status(status, beside.params)
            self._refuse(error.request_id, error.http_status, status)

    def _answer(self, event: ProtocolEvent) -> None:
        """Act on the rarer events."""
        if isinstance(event, AbortRequest):
            self._drop(event.request_id, "the Web server has aborted the request")
            self.output.write_records(self.core.send_end(event.request_id))
        elif isinstance(event, GetValues):
            values = values_of(self.options, event.names)
            if values.get(MPXS_CONNS) == "1":
                self._multiplex()
            self.output.write_records(self.core.send(GetValuesResult(values)))
        elif isinstance(event, UnknownType):
            self.output.write_records(self.core.send(event))

    def _overload(self, event: BeginRequest) -> None:
        self._server.report_overload()
        status = overloaded_status(ProtocolStatus.OVERLOADED, event.params)
        self._refuse(event.request_id, "503 Service Unavailable", status)

    def _refuse(self, request_id: int, http_status: str, protocol_status: int) -> None:
        """Answer a request with a page of ours (§5.5)."""
        self._drop(request_id, f"the request was refused: {http_status}")
        page = error_page(http_status)
        self.output.write_records(
            self.core.send_end(request_id, page, protocol_status=protocol_status)
        )

    # -- requests

    def _begin(self, event: BeginRequest) -> bool:
        """Take on a request, or return False if it is being refused."""
        if self._server.active_requests >= self.options.max_concurrent_requests:
            self._aside(self._overload, event)
            return False
        if self._requests:
            self._multiplex()
        # Not started yet: its STDIN may be right behind.
        self._ready = self._requests[event.request_id] = ServerRequest(self, event)
        return True

    def _multiplex(self) -> None:
        if not self.multiplexed:
            self.multiplexed = True
            self._full_streams = ()
            self._read_again()

    def _start(self, request: ServerRequest) -> None:
        """Run the application, and return when it is done or when it first blocks."""
        self._ready = None
        self._server.runners.start(request)

    def _drop(self, request_id: int, reason: str) -> None:
        """Abort a request, whether the application has it or not; send nothing."""
        request = self._requests.pop(request_id, None)
        if request is not None:
            if request is self._ready:
                self._ready = None
            request.abort(reason)

    def end(self, request: ServerRequest, data: Bytes, app_status: int) -> None:
        """End a request (§5.5). Raises: RequestAborted."""
        core = self.core
        with self.output.lock:
            request.check()
            request.ended = True
            del self._requests[request.request_id]
            held = self.output.held_errors(request)
            buffers = core.send_end(request.request_id, data, app_status=app_status)
            try:
                self.output.send(held + buffers if held else buffers)
            finally:
                request.discard_input()
                if (core.should_close or self._draining) and not self._pulling:
                    get_hub().loop.run_callback(self._pull)

    # -- pausing (called by the streams)

    def pause_for(self, stream: InputStream) -> None:
        """Do not read on until ``stream`` has been read from."""
        if stream not in self._full_streams:
            self._full_streams = (*self._full_streams, stream)
        self._transport.stop_reading()

    def resume_from(self, stream: InputStream) -> None:
        """Read on, as far as ``stream`` is concerned."""
        full = self._full_streams
        if stream in full:
            self._full_streams = tuple(other for other in full if other is not stream)
            if not self._full_streams:
                # Whatever has come in part waited for us, not for the Web server.
                self._last_read = self._paused_until = get_hub().loop.now()
                self._params_since = 0.0
                self._read_again()

    # -- ending

    def drain(self) -> None:
        """Close as soon as nothing is active."""
        self._draining = True
        get_hub().loop.run_callback(self._pull)

    def expire(self, now: float) -> None:
        """Give up what has taken too long by the loop's clock ``now`` (seconds).

        Does not switch greenlets: it is called by a timer, in the hub.
        """
        options = self.options
        blocked = self._transport.write_blocked_since
        if blocked:
            if now - blocked > options.stdout_timeout_seconds:
                self._expired("the Web server has not read for", now - blocked)
        elif self._lingering:
            if now - self._last_read > limits.LINGER_SECONDS:
                self._close()
        elif self._full_streams:
            # The Web server waits for the application, and nobody reads the end of it.
            if self._transport.has_hung_up():
                self._give_up(_CLOSED)
        elif self._params_since:
            if now - self._params_since > options.params_timeout_seconds:
                self._expired("PARAMS have been incomplete for", now - self._params_since)
        elif self._requests:
            for request in list(self._requests.values()):
                waiting = now - max(request.waiting_since, self._paused_until)
                if request.waiting_since and waiting > options.stdin_timeout_seconds:
                    self._server.log_expiry(self._peer(), "no body has come for", waiting)
                    request.time_out(f"no bytes of the body came for {waiting:.3g} seconds")
        elif not self._idle():
            if now - self._last_read > options.params_timeout_seconds:
                self._expired("a record has been incomplete for", now - self._last_read)
        elif now - self._last_read > options.idle_timeout_seconds:
            self._close()
        elif self._draining or self.core.should_close:
            # The last writer is done; where it was killed, nobody else says so.
            self._pull()

    def _expired(self, what: str, seconds: float) -> None:
        self._server.log_expiry(self._peer(), what, seconds)
        self._give_up(f"{what} {seconds:.3g} seconds")

    def cut(self) -> None:
        """End it now: abort what runs."""
        self._give_up("the server is stopping")

    def _give_up(self, reason: str) -> None:
        """Abort everything and close, from whatever greenlet."""
        self.closed = self.output.closed = True
        self._abort_all(reason)
        self._transport.shut_down()
        get_hub().loop.run_callback(self._close)

    def _abort_all(self, reason: str) -> None:
        for request_id in list(self._requests):
            self._drop(request_id, reason)

    def _close(self) -> None:
        """Close the transport connection, once; what is active is aborted."""
        if self._close_begun:
            return
        self._close_begun = self.closed = self.output.closed = True
        self._transport.stop_reading()
        self._abort_all(_CLOSED)
        if self.output.lock.locked():
            # A writer is waiting for the socket: this wakes it up, and it finds the end.
            self._transport.shut_down()
            get_hub().loop.run_callback(
                greenlet.greenlet(self._close_behind_writers, get_hub()).switch
            )
        else:
            self._closed_now()

    def _close_behind_writers(self) -> None:
        with self.output.lock:
            self._closed_now()

    def _closed_now(self) -> None:
        self._transport.close()
        self.output.forget()
        self._server.connection_closed(self)
