"""The load generator: epoll loops that send prepared bytes and count what comes back.

It runs in a process of its own, on another core than the server (see ``worker``). Its work between
two system calls must cost less than the least work of a server.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.accounting import cpu_seconds
from benchmarks.wire import END_REQUEST, HEADER, connect

__all__ = ["Failed", "Sample", "Target", "connecting", "flooded", "kept", "multiplexed"]

STALL_SECONDS = 5.0
_READ_BYTES = 65536
_IN = select.EPOLLIN
_now = time.perf_counter


class Failed(Exception):
    """The server failed the load; the text says what it did."""


@dataclass(frozen=True)
class Target:
    """A running server, and what its answers look like.

    ``length`` is that of an answer in bytes on the wire; every answer ends with ``tail``.
    """

    address: str
    pids: tuple[int, ...]
    length: int
    tail: bytes


@dataclass(frozen=True)
class Sample:
    """The result of one run; times in seconds.

    ``generator`` is the share of its core that the load generator used. Near 1.0, it limited the
    requests per second, and not the server.
    """

    requests: int
    seconds: float
    cpu: float
    p50: float
    p99: float
    generator: float

    def figures(self) -> dict[str, float]:
        return {
            "cpu_us": self.cpu / self.requests * 1e6,
            "requests_per_second": self.requests / self.seconds,
            "p50_us": self.p50 * 1e6,
            "p99_us": self.p99 * 1e6,
            "generator_share": self.generator,
        }


class _Window:
    """The time after the warm-up, in which requests count."""

    def __init__(self, target: Target, seconds: float, warm_up: float) -> None:
        self._target = target
        self._seconds = seconds
        self.latencies: list[float] = []
        self.next = _now() + warm_up
        self.measuring = False
        self.begun = self._took = self._cpu = self._own = 0.0

    def turn(self) -> bool:
        """Begin to measure, or end it and return False. Call it once ``next`` is past."""
        if self.measuring:
            self._own = time.process_time() - self._own
            self._took = _now() - self.begun
            self._cpu = cpu_seconds(self._target.pids) - self._cpu
            return False
        self.measuring = True
        self.latencies.clear()
        self._cpu = cpu_seconds(self._target.pids)
        self._own = time.process_time()
        self.begun = _now()
        self.next = self.begun + self._seconds
        return True

    def sample(self, requests: int = 0) -> Sample:
        """Return the result; ``requests`` if they are more than the latencies."""
        if not self.latencies:
            raise Failed("no request was answered")
        ordered = sorted(self.latencies)
        return Sample(
            requests=requests or len(ordered),
            seconds=self._took,
            cpu=self._cpu,
            p50=ordered[len(ordered) // 2],
            p99=ordered[len(ordered) * 99 // 100],
            generator=self._own / self._took,
        )


def _send(sock: socket.socket, request: bytes) -> None:
    """Send the whole request. The socket's buffer is empty and nearly always takes it at once."""
    try:
        sent = sock.send(request, socket.MSG_DONTWAIT)
        if sent < len(request):
            sock.sendall(memoryview(request)[sent:])
    except ConnectionError as error:
        raise Failed(f"the server closed a connection: {error}") from error


def kept(
    target: Target, request: bytes, *, connections: int, seconds: float, warm_up: float
) -> Sample:
    """Keep ``connections`` open, each with one request under way at any time."""
    return _kept(target, request, connections, seconds, warm_up, flood=None)


def flooded(
    target: Target,
    request: bytes,
    flood: list[bytes],
    *,
    connections: int,
    seconds: float,
    warm_up: float,
) -> Sample:
    """Like ``kept``, beside one more connection with all of ``flood`` under way at any time.

    Latencies count on the kept connections alone, requests on all.
    """
    return _kept(target, request, connections, seconds, warm_up, flood=flood)


def _kept(
    target: Target,
    request: bytes,
    connections: int,
    seconds: float,
    warm_up: float,
    flood: list[bytes] | None,
) -> Sample:
    length, tail = target.length, target.tail
    epoll = select.epoll()
    socks: dict[int, socket.socket] = {}
    begun: dict[int, float] = {}
    partial: dict[int, int] = {}
    stream: _Multiplexed | None = None
    try:
        for _ in range(connections):
            sock = connect(target.address, STALL_SECONDS)
            socks[sock.fileno()] = sock
            epoll.register(sock.fileno(), _IN)
        if flood is not None:
            stream = _Multiplexed(target, flood)
            epoll.register(stream.fileno, _IN)
            stream.start()
        for fd, sock in socks.items():
            begun[fd] = _now()
            _send(sock, request)
        window = _Window(target, seconds, warm_up)
        note = window.latencies.append
        flooding = flooding_before = 0
        while True:
            events = epoll.poll(STALL_SECONDS)
            if not events:
                raise Failed(f"no answer within {STALL_SECONDS:g} s")
            for fd, _ in events:
                if stream is not None and fd == stream.fileno:
                    flooding += stream.receive()
                    continue
                sock = socks[fd]
                try:
                    data = sock.recv(_READ_BYTES)
                except ConnectionError:
                    data = b""
                got = len(data)
                if got != length:
                    if not data:
                        raise Failed("the server closed a kept connection")
                    got += partial.pop(fd, 0)
                    if got < length:
                        partial[fd] = got
                        continue
                if got != length or data[-len(tail) :] != tail[-len(data) :]:
                    raise Failed("an answer differs from the first one")
                now = _now()
                note(now - begun[fd])
                begun[fd] = now
                _send(sock, request)
            if _now() >= window.next:
                if not window.measuring:
                    flooding_before = flooding
                if not window.turn():
                    break
        silent = sum(1 for fd in socks if begun[fd] < window.begun)
        if silent:
            raise Failed(f"{silent} of {connections} connections got no answer in {seconds:g} s")
        return window.sample(len(window.latencies) + flooding - flooding_before)
    finally:
        for sock in socks.values():
            sock.close()
        if stream is not None:
            stream.close()
        epoll.close()


def connecting(
    target: Target, request: bytes, *, connections: int, seconds: float, warm_up: float
) -> Sample:
    """Open a connection for each request; the server closes it. ``connections`` at a time."""
    length, tail = target.length, target.tail
    epoll = select.epoll()
    under_way: dict[int, tuple[socket.socket, float]] = {}
    partial: dict[int, bytes] = {}

    def begin() -> None:
        started = _now()
        sock = connect(target.address, STALL_SECONDS)
        fd = sock.fileno()
        under_way[fd] = sock, started
        epoll.register(fd, _IN)
        _send(sock, request)

    try:
        for _ in range(connections):
            begin()
        window = _Window(target, seconds, warm_up)
        note = window.latencies.append
        while True:
            events = epoll.poll(STALL_SECONDS)
            if not events:
                raise Failed(f"no answer within {STALL_SECONDS:g} s")
            for fd, _ in events:
                sock, started = under_way[fd]
                data = partial.pop(fd, b"")
                try:
                    while received := sock.recv(_READ_BYTES, socket.MSG_DONTWAIT):
                        data += received
                except BlockingIOError:
                    partial[fd] = data
                    continue
                except ConnectionError as error:
                    raise Failed(f"the server closed a connection: {error}") from error
                if len(data) != length or not data.endswith(tail):
                    raise Failed(f"an answer of {len(data)} bytes, where the first had {length}")
                note(_now() - started)
                del under_way[fd]
                sock.close()
                begin()
            if _now() >= window.next and not window.turn():
                return window.sample()
    finally:
        for sock, _ in under_way.values():
            sock.close()
        epoll.close()


def multiplexed(target: Target, requests: list[bytes], *, seconds: float, warm_up: float) -> Sample:
    """Use one connection, with all ``requests`` under way at any time."""
    stream = _Multiplexed(target, requests)
    try:
        stream.start()
        window = _Window(target, seconds, warm_up)
        stream.latencies = window.latencies
        while True:
            stream.receive()
            if _now() >= window.next and not window.turn():
                stream.check()
                return window.sample()
    finally:
        stream.close()


class _Multiplexed:
    """A connection with many requests under way. Each is sent again once it is answered.

    The request ids are 1, 2 and so on, in the order of ``requests``.
    """

    def __init__(self, target: Target, requests: list[bytes]) -> None:
        self._requests = requests
        self._begun = [0.0] * (len(requests) + 1)
        self._rest = b""
        self._bytes = self._answered = 0
        self._length = target.length
        self.latencies: list[float] = []
        self._sock = connect(target.address, STALL_SECONDS)
        self.fileno = self._sock.fileno()

    def start(self) -> None:
        self._begin(range(1, len(self._requests) + 1))

    def receive(self) -> int:
        """Read once, send the answered requests again, and return their number."""
        try:
            data = self._sock.recv(1 << 18)
        except BlockingIOError:
            raise Failed(f"no answer within {STALL_SECONDS:g} s") from None
        except ConnectionError:
            data = b""
        if not data:
            raise Failed("the server closed the multiplexed connection")
        data = self._rest + data
        end = len(data)
        offset = 0
        ended: list[int] = []
        while end - offset >= 8:
            _, record_type, request_id, length, padding = HEADER.unpack_from(data, offset)
            after = offset + 8 + length + padding
            if after > end:
                break
            offset = after
            if record_type == END_REQUEST:
                ended.append(request_id)
        self._rest = data[offset:]
        self._bytes += offset
        self._answered += len(ended)
        if ended:
            now = _now()
            for request_id in ended:
                self.latencies.append(now - self._begun[request_id])
            self._begin(ended)
        return len(ended)

    def _begin(self, request_ids: Iterable[int]) -> None:
        now = _now()
        requests: list[Any] = []
        for request_id in request_ids:
            self._begun[request_id] = now
            requests.append(self._requests[request_id - 1])
        try:
            self._sock.sendall(b"".join(requests))
        except OSError as error:
            raise Failed(f"the server takes no more on the connection: {error}") from error

    def check(self) -> None:
        """Raise Failed unless the number of bytes fits the number of answers."""
        least = self._answered * self._length
        if not least <= self._bytes <= least + len(self._requests) * self._length:
            raise Failed(f"{self._bytes} bytes came for {self._answered} answers")

    def close(self) -> None:
        self._sock.close()
