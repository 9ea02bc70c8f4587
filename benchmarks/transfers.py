"""Loads of few and large transfers: a body of 100 MB, in either direction."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.accounting import cpu_seconds
from benchmarks.generator import Failed, Sample, Target
from benchmarks.wire import connect

__all__ = ["download", "upload"]

STALL_SECONDS = 20.0
PIECE_BYTES = 65536
_now = time.perf_counter


def download(target: Target, request: bytes, *, body_bytes: int, transfers: int) -> Sample:
    """Read answers of at least ``body_bytes``, each until its connection is closed.

    The first transfer is the warm-up.
    """
    buffer = bytearray(1 << 20)

    def transfer() -> None:
        with connect(target.address, STALL_SECONDS) as sock:
            sock.sendall(request)
            received = 0
            while got := sock.recv_into(buffer):
                received += got
            if received < body_bytes:
                raise Failed(f"an answer of {received} bytes, where {body_bytes} are due")

    return _measure(target, transfer, transfers)


def upload(target: Target, head: bytes, body: bytes, *, transfers: int) -> Sample:
    """Send ``body`` in pieces of 64 KB and read the answer until its connection is closed.

    The answer must contain the target's ``tail``. The first transfer is the warm-up.
    """
    view = memoryview(body)
    pieces = [view[start : start + PIECE_BYTES] for start in range(0, len(view), PIECE_BYTES)]

    def transfer() -> None:
        with connect(target.address, STALL_SECONDS) as sock:
            sock.sendall(head)
            for piece in pieces:
                sock.sendall(piece)
            answer = b""
            while received := sock.recv(PIECE_BYTES):
                answer += received
            if target.tail not in answer:
                raise Failed(f"the answer to an upload is {answer[:200]!r}")

    return _measure(target, transfer, transfers)


def _measure(target: Target, transfer: Callable[[], None], transfers: int) -> Sample:
    try:
        transfer()
        cpu = cpu_seconds(target.pids)
        own = time.process_time()
        begun = _now()
        latencies = []
        for _ in range(transfers):
            started = _now()
            transfer()
            latencies.append(_now() - started)
        took = _now() - begun
    except BlockingIOError:
        raise Failed(f"nothing moved for {STALL_SECONDS:g} s") from None
    except ConnectionError as error:
        raise Failed(f"the connection broke: {error}") from error
    latencies.sort()
    return Sample(
        requests=transfers,
        seconds=took,
        cpu=cpu_seconds(target.pids) - cpu,
        p50=latencies[len(latencies) // 2],
        p99=latencies[-1],
        generator=(time.process_time() - own) / took,
    )
