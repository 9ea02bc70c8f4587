"""Many requests and their times: over a transport connection each, or all over one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import gevent
import gevent.lock
import gevent.pool
import gevent.queue
import gevent.socket

from gfcgi import limits
from gfcgi.client.request import Exchange, cooperative
from gfcgi.client.response import HeaderBlock, ResponseHead
from gfcgi.errors import FastCGIError, TransportClosed
from gfcgi.protocol import (
    NEED_DATA,
    BeginRequest,
    EndRequest,
    ProtocolStatus,
    Role,
    Stdin,
    Stdout,
    WebServerConnection,
)
from gfcgi.protocol.params import Pairs

__all__ = ["MultiplexedConnection", "Outcome", "ask_many"]


@dataclass(frozen=True)
class Outcome:
    """What came of one request: its status, or why there was no answer; seconds; body bytes."""

    status: int
    error: str
    first_byte_seconds: float
    seconds: float
    bytes: int


def ask_many(number: int, concurrency: int, ask: Callable[[], Outcome]) -> list[Outcome]:
    """Call ``ask`` a number of times, so many of them at once, each in a greenlet."""
    pool = gevent.pool.Pool(concurrency)
    return [greenlet.get() for greenlet in [pool.spawn(ask) for _ in range(number)]]


def ask_once(make: Callable[[], Exchange]) -> Outcome:
    """Ask on a transport connection of its own."""
    start = time.monotonic()
    status, first, size = 0, 0.0, 0
    try:
        for event in make().answer():
            if isinstance(event, ResponseHead):
                status, first = event.status, time.monotonic() - start
            elif isinstance(event, Stdout):
                size += len(event.data)
            elif isinstance(event, EndRequest):
                return _outcome(status, event, start, first, size)
    except (FastCGIError, OSError) as error:
        return Outcome(0, str(error) or type(error).__name__, first, _since(start), size)
    raise AssertionError("an answer ends with END_REQUEST")


def _outcome(status: int, end: EndRequest, start: float, first: float, size: int) -> Outcome:
    error = ""
    if end.protocol_status != ProtocolStatus.REQUEST_COMPLETE:
        error = f"refused: {ProtocolStatus(end.protocol_status).name}"
    elif not status:
        error = "ended without a response"
    return Outcome(0 if error else status, error, first, _since(start), size)


def _since(start: float) -> float:
    return time.monotonic() - start


class MultiplexedConnection:
    """One transport connection for any number of requests at once, as HAProxy uses it (§3.3)."""

    def __init__(self, sock: gevent.socket.socket) -> None:
        self._socket = cooperative(sock)
        self._core = WebServerConnection()
        self._queues: dict[int, gevent.queue.Queue[object]] = {}
        self._lock = gevent.lock.RLock()
        self._closed = ""
        self._reading = gevent.spawn(self._read)

    def ask(self, params: dict[str, str], repeated: Pairs, body: bytes) -> Outcome:
        """Send one request and wait for the end of its answer."""
        start = time.monotonic()
        status, first, size = 0, 0.0, 0
        request_id = next(number for number in count(1) if number not in self._queues)
        events = self._queues[request_id] = gevent.queue.Queue()
        block: HeaderBlock | None = HeaderBlock(request_id)
        try:
            self._send(BeginRequest(request_id, Role.RESPONDER, True, params, repeated))
            if body:
                self._send(Stdin(request_id, body))
            self._send(Stdin(request_id, b""))
            while True:
                event = events.get()
                if isinstance(event, EndRequest):
                    return _outcome(status, event, start, first, size)
                if isinstance(event, Exception):
                    raise event
                if isinstance(event, Stdout) and len(event.data):
                    if block is None:
                        size += len(event.data)
                    elif head := block.receive(event.data):
                        status, first, size = head.status, _since(start), len(block.rest)
                        block = None
        except (FastCGIError, OSError) as error:
            return Outcome(0, str(error), first, _since(start), size)
        finally:
            del self._queues[request_id]

    def close(self) -> None:
        self._reading.kill()
        self._socket.close()

    def _send(self, event: BeginRequest | Stdin) -> None:
        if self._closed:
            raise TransportClosed(self._closed)
        with self._lock:  # one event's buffers go out together
            for buffer in self._core.send(event):
                self._socket.sendall(buffer)

    def _read(self) -> None:
        error: Exception
        try:
            while True:
                event = self._core.next_event()
                if event is NEED_DATA:
                    data = self._socket.recv(limits.RECV_BYTES)
                    if not data:
                        self._core.receive_eof()
                        raise TransportClosed("the application closed the transport connection")
                    self._core.receive_data(data)
                    continue
                queue = self._queues.get(getattr(event, "request_id", 0))
                if queue is not None:
                    queue.put(event)
        except (FastCGIError, OSError) as failed:
            error = failed
        self._closed = str(error)
        for queue in self._queues.values():
            queue.put(error)
