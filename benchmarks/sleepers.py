"""Loads of requests that sleep: thousands at once, each on a connection of its own."""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass

from benchmarks.accounting import cpu_seconds, memory_bytes
from benchmarks.generator import Failed, Target
from benchmarks.wire import connect

__all__ = ["Slept", "sleeping"]

STALL_SECONDS = 30.0
SAMPLE_SECONDS = 0.25
_now = time.perf_counter


@dataclass(frozen=True)
class Slept:
    """The result of one run: times in seconds from the first connect, memory in bytes.

    ``memory`` is the largest that was seen, and ``asleep`` how many requests were waiting then.
    """

    requests: int
    sent: float
    last: float
    cpu: float
    idle_memory: int
    memory: int
    asleep: int

    def figures(self) -> dict[str, float]:
        figures = {
            "last_answer_seconds": self.last,
            "sent_seconds": self.sent,
            "cpu_us": self.cpu / self.requests * 1e6,
        }
        if self.memory:
            figures |= {
                "idle_memory_mb": self.idle_memory / 1e6,
                "memory_mb": self.memory / 1e6,
                "asleep": self.asleep,
                "memory_per_request_kb": (self.memory - self.idle_memory) / self.asleep / 1024,
            }
        return figures


def sleeping(target: Target, request: bytes, *, requests: int, look: bool) -> Slept:
    """Send all requests at once and wait for all answers.

    ``look``: read the server's memory meanwhile. That costs the server time, so the time of the
    last answer does not count then.
    """
    idle = memory_bytes(target.pids) if look else 0
    most, asleep = idle, 0
    cpu = cpu_seconds(target.pids)
    epoll = select.epoll()
    waiting: dict[int, tuple[socket.socket, list[bytes]]] = {}
    begun = _now()
    try:
        try:
            for _ in range(requests):
                sock = connect(target.address, STALL_SECONDS)
                waiting[sock.fileno()] = sock, []
                epoll.register(sock.fileno(), select.EPOLLIN)
                sock.sendall(request)
        except BlockingIOError:
            raise Failed(
                f"after {len(waiting)} connections none was accepted for {STALL_SECONDS:g} s"
            ) from None
        sent = progress = _now()
        while waiting:
            if look and len(waiting) == requests:
                memory = memory_bytes(target.pids)
                if memory > most:
                    most, asleep = memory, len(waiting)
            events = epoll.poll(SAMPLE_SECONDS)
            if events:
                progress = _now()
            elif _now() - progress > STALL_SECONDS:
                raise Failed(f"{len(waiting)} of {requests} had no answer in {STALL_SECONDS:g} s")
            for fd, _ in events:
                sock, pieces = waiting[fd]
                received = sock.recv(65536)
                pieces.append(received)
                if not received:
                    answer = b"".join(pieces)
                    if len(answer) != target.length or not answer.endswith(target.tail):
                        raise Failed(f"an answer of {len(answer)} bytes, not {target.length}")
                    del waiting[fd]
                    sock.close()
        if look and not asleep:
            raise Failed("the first was answered before the last was sent")
        return Slept(
            requests=requests,
            sent=sent - begun,
            last=_now() - begun,
            cpu=cpu_seconds(target.pids) - cpu,
            idle_memory=idle,
            memory=most,
            asleep=asleep,
        )
    except ConnectionError as error:
        raise Failed(f"a connection broke: {error}") from error
    finally:
        for sock, _ in waiting.values():
            sock.close()
        epoll.close()
