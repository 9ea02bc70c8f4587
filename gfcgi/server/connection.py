"""One transport connection: a greenlet that reads its records, and one for each request.

The reader switches to a new request's greenlet directly and goes on reading only when that blocks
or is done. So a request whose PARAMS and STDIN came in one read is answered without a turn of the
event loop, and no socket is watched for it; one that takes longer has its reader back at once, to
notice a Web server that leaves, and to begin the other requests of a multiplexed connection.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any, Final

import greenlet
from gevent.hub import get_hub
from gevent.lock import Semaphore

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
    Stderr,
    Stdin,
    UnknownType,
)
from gfcgi.server.request import ServerRequest
from gfcgi.server.transport import Transport
from gfcgi.server.values import MPXS_CONNS, values_of
from gfcgi.wsgi.pages import error_page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gfcgi.protocol.events import Bytes
    from gfcgi.protocol.events import Event as ProtocolEvent
    from gfcgi.server.server import Server
    from gfcgi.server.streams import InputStream

__all__ = ["Connection"]

_CLOSED: Final = "the Web server has closed the transport connection"
_MSG_MORE: Final = getattr(socket, "MSG_MORE", 0)


class Connection:
    """A transport connection and the requests on it.

    ``multiplexed`` is whether the Web server has had two requests active at once, or has asked
    whether it may: from then on nothing that one request does may stop the reading.
    """

    __slots__ = (
        "_draining",
        "_fresh",
        "_full_streams",
        "_greenlet",
        "_last_read",
        "_lingering",
        "_params_since",
        "_paused_until",
        "_peer",
        "_ready",
        "_requests",
        "_server",
        "_silent",
        "_transport",
        "_write_lock",
        "closed",
        "core",
        "multiplexed",
        "options",
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
        self._write_lock = Semaphore()
        self._requests: dict[int, ServerRequest] = {}
        self._ready: ServerRequest | None = None
        self._full_streams: set[InputStream] = set()
        self._greenlet: Any = None
        self._last_read = self._params_since = get_hub().loop.now()
        self._fresh = True
        self._silent = True
        self._paused_until = 0.0
        self._draining = False
        self._lingering = False

    # -- reading

    def run(self) -> None:
        """Serve the connection until it is closed; the body of its greenlet."""
        self._greenlet = greenlet.getcurrent()
        try:
            self._read_records()
        except RemoteProtocolError as error:
            self._server.report(self._peer(), error)
        except (OSError, RequestAborted) as error:
            self._server.log_debug(self._peer(), error)
        finally:
            self._close()

    def _read_records(self) -> None:
        core = self.core
        while True:
            try:
                event = core.next_event()
            except RemoteProtocolError as error:
                if error.fatal is Fatal.TRANSPORT_CONNECTION:
                    raise
                self._server.report(self._peer(), error)
                self._refuse(error.request_id, error.http_status, error.protocol_status)
                continue
            if event is NEED_DATA:
                if self._ready is not None:
                    self._start(self._ready)
                elif core.should_close and not self._write_lock.locked():
                    self._linger()
                    return
                elif not self._receive():
                    return
            elif type(event) is Stdin:
                request = self._requests.get(event.request_id)
                if request is not None:
                    request.stdin.feed(event.data)  # type: ignore[arg-type]
                    if request is self._ready and not event.data:
                        self._start(request)
            elif type(event) is BeginRequest:
                self._begin(event)
            else:
                self._take(event)

    def _take(self, event: ProtocolEvent) -> None:
        """Act on the rarer events."""
        if isinstance(event, Data):
            request = self._requests.get(event.request_id)
            if request is not None and request.data is not None:
                request.data.feed(event.data)  # type: ignore[arg-type]
        elif isinstance(event, AbortRequest):
            self._drop(event.request_id, "the Web server has aborted the request")
            self._write(self.core.send_end(event.request_id))
        elif isinstance(event, GetValues):
            self._answer(event)
        elif isinstance(event, UnknownType):
            self._write(self.core.send(event))

    def _receive(self) -> bool:
        """Wait for bytes and give them to the core; return False when the connection is over."""
        if self._full_streams:
            while self._full_streams:
                self._transport.wait_for_wake()
            # Whatever has come in part waited for us, not for the Web server.
            self._last_read = self._paused_until = get_hub().loop.now()
            self._params_since = 0.0
        closing = False
        if self._fresh:
            # A Web server connects because it has something to say. Later on, waiting first
            # costs less than asking in vain, and gives every connection its turn.
            self._fresh = False
        else:
            self._watch_params()
            closing = self._draining and self._idle() and not self._expects_first_bytes()
            if not closing and not self._transport.wait_readable():
                return True
        data = self._transport.receive_now(limits.RECV_BYTES)
        if data is None:
            return not closing
        self._silent = False
        self._last_read = get_hub().loop.now()
        if not data:
            if not self.closed:
                self.core.receive_eof()
            return False
        self.core.receive_data(data)
        if self.core.ignored_bytes > self.options.max_drain_bytes:
            self._server.log_debug(self._peer(), "too long a body that nobody reads")
            return False
        return True

    def _expects_first_bytes(self) -> bool:
        """Whether the Web server has connected just now, and its request must be on the way."""
        return self._silent and get_hub().loop.now() - self._last_read < limits.FIRST_BYTES_SECONDS

    def _idle(self) -> bool:
        """Whether nothing is going on that closing would cut."""
        core = self.core
        return not (
            self._requests or core.active_requests or core.in_record or self._write_lock.locked()
        )

    def _watch_params(self) -> None:
        """Keep the time since which a request's PARAMS are incomplete."""
        if not self.core.receiving_params:
            self._params_since = 0.0
        elif not self._params_since:
            self._params_since = self._last_read

    # -- requests

    def _begin(self, event: BeginRequest) -> None:
        if self._ready is not None:
            self._start(self._ready)
        server = self._server
        if server.active_requests >= self.options.max_concurrent_requests:
            server.report_overload()
            self._refuse(event.request_id, "503 Service Unavailable", ProtocolStatus.OVERLOADED)
            return
        request = ServerRequest(self, event)
        if self._requests:
            self._multiplex()
        self._requests[event.request_id] = request
        # Not started yet: its STDIN may be right behind.
        self._ready = request

    def _multiplex(self) -> None:
        if not self.multiplexed:
            self.multiplexed = True
            self._full_streams.clear()

    def _start(self, request: ServerRequest) -> None:
        """Run the application, and return when it is done or when it first blocks."""
        self._ready = None
        hub = get_hub()
        resume = hub.loop.run_callback(self._greenlet.switch)
        runner = request.greenlet = greenlet.greenlet(self._server.run_request)
        runner.switch(request)
        if runner.dead:
            resume.stop()
        else:
            # It blocked. When it ends it is the hub that goes on, not us in the middle of a wait.
            runner.parent = hub

    def _drop(self, request_id: int, reason: str) -> None:
        """Abort a request, whether the application has it or not; send nothing."""
        request = self._requests.pop(request_id, None)
        if request is not None:
            if request is self._ready:
                self._ready = None
            request.abort(reason)

    def _refuse(self, request_id: int, http_status: str, protocol_status: int) -> None:
        """Answer a request with a page of ours (§5.5)."""
        self._drop(request_id, f"the request was refused: {http_status}")
        page = error_page(http_status)
        self._write(self.core.send_end(request_id, page, protocol_status=protocol_status))

    def _answer(self, event: GetValues) -> None:
        values = values_of(self.options, event.names)
        if values.get(MPXS_CONNS) == "1":
            self._multiplex()
        self._write(self.core.send(GetValuesResult(values)))

    # -- writing

    # The records of a request are made with the lock held, not while waiting for it: the request
    # may be aborted meanwhile, and its id be another's.

    def write(self, request: ServerRequest, data: Bytes) -> None:
        """Write bytes of a request's STDOUT. Raises: RequestAborted."""
        with self._write_lock:
            request.check()
            self._send(self.core.send_stdout(request.request_id, data))

    def write_error(self, request: ServerRequest, data: Bytes) -> None:
        """Write bytes of a request's STDERR. Raises: RequestAborted."""
        with self._write_lock:
            request.check()
            self._send(self.core.send(Stderr(request.request_id, data)))

    def write_file(self, request: ServerRequest, fileno: int, offset: int, length: int) -> None:
        """Write one STDOUT record with a region of a file. Raises: RequestAborted, OSError."""
        with self._write_lock:
            request.check()
            transport = self._transport
            header, padding = self.core.send_stdout_header(request.request_id, length)
            whole = False
            try:
                transport.send([header], _MSG_MORE)
                transport.send_file(fileno, offset, length)
                if padding:
                    transport.send([padding])
                whole = True
            except EOFError as error:
                raise OSError(str(error)) from error
            except (ConnectionError, TimeoutError) as error:
                raise self._lost(error) from error
            finally:
                if not whole:
                    # A record was promised and cannot be completed: nothing can follow it.
                    transport.shut_down()

    def end(self, request: ServerRequest, data: Bytes, app_status: int) -> None:
        """End a request (§5.5). Raises: RequestAborted."""
        core = self.core
        with self._write_lock:
            request.check()
            request.ended = True
            del self._requests[request.request_id]
            try:
                self._send(core.send_end(request.request_id, data, app_status=app_status))
            finally:
                request.discard_input()
                if core.should_close or self._draining:
                    self._transport.wake()

    def _write(self, buffers: Sequence[Bytes]) -> None:
        """Write what concerns no running request. Raises: RequestAborted."""
        with self._write_lock:
            if self.closed:
                raise RequestAborted("the transport connection is closed")
            self._send(buffers)

    def _send(self, buffers: Sequence[Bytes]) -> None:
        """Write whole records, waiting where the Web server is slow; the lock is held."""
        try:
            self._transport.send(buffers)
        except OSError as error:
            raise self._lost(error) from error
        except BaseException:
            # A gevent.Timeout of the application's, or it was killed; its record must be completed.
            rest = greenlet.greenlet(self._complete, get_hub())
            get_hub().loop.run_callback(rest.switch)
            raise

    def _complete(self) -> None:
        with contextlib.suppress(RequestAborted):
            self._write(())

    def _lost(self, error: object) -> RequestAborted:
        """Abort everything on this connection: the Web server does not read any more."""
        self._give_up("the transport connection was lost")
        return RequestAborted(f"the transport connection was lost: {error}")

    def _give_up(self, reason: str) -> None:
        self.closed = True
        self._abort_all(reason)
        self._transport.shut_down()

    # -- pausing (called by the streams)

    def pause_for(self, stream: InputStream) -> None:
        """Do not read on until ``stream`` has been read from."""
        self._full_streams.add(stream)

    def resume_from(self, stream: InputStream) -> None:
        """Read on, as far as ``stream`` is concerned."""
        if stream in self._full_streams:
            self._full_streams.discard(stream)
            if not self._full_streams:
                self._transport.wake()

    # -- ending

    def drain(self) -> None:
        """Close as soon as nothing is active."""
        self._draining = True
        self._transport.wake()

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
                self._transport.shut_down()
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
            self._transport.shut_down()
        elif self._draining:
            self._transport.wake()

    def _expired(self, what: str, seconds: float) -> None:
        self._server.log_expiry(self._peer(), what, seconds)
        self._give_up(f"{what} {seconds:.3g} seconds")

    def cut(self) -> None:
        """End it now: abort what runs."""
        self._give_up("the server is stopping")

    def _abort_all(self, reason: str) -> None:
        for request_id in list(self._requests):
            self._drop(request_id, reason)

    def _linger(self) -> None:
        """Let a Web server that still sends finish, so that it reads our answer to the end."""
        core = self.core
        transport = self._transport
        if not core.input_was_lost and not core.in_record:
            return
        self._lingering = True
        transport.shut_down(socket.SHUT_WR)
        drained = 0
        while drained <= self.options.max_drain_bytes:
            data = transport.receive_now(limits.RECV_BYTES)
            if data is None:
                transport.wait_readable()
            elif not data:
                return
            else:
                drained += len(data)
                self._last_read = get_hub().loop.now()

    def _close(self) -> None:
        self.closed = True
        self._abort_all(_CLOSED)
        if self._write_lock.locked():
            # A writer is waiting for the socket: this wakes it up, and it finds the end.
            self._transport.shut_down()
        with self._write_lock:
            self._transport.close()
        self._server.connection_closed(self)
