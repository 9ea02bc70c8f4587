"""From the start of a script to its first answer, beside what importing gevent costs alone.

The script finds its listening socket on descriptor 0, as Apache leaves it there, and the request
waits in it already; so nothing is measured that is not the script's.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from collections.abc import Collection
from pathlib import Path

from benchmarks.accounting import cpu_seconds, process_tree
from benchmarks.generator import Failed
from benchmarks.peers import Peer, Place
from benchmarks.processes import spawn, stop
from benchmarks.wire import Shape, connect, is_whole, prepare

__all__ = ["bare", "first_answer"]

ANSWER_SECONDS = 20.0


def bare(place: Place, *, cpus: Collection[int]) -> dict[str, float]:
    """``monkey.patch_all()`` and the import of gevent.server, until it says so."""
    reading, writing = os.pipe()
    begun = time.perf_counter()
    process = spawn(place.script("bare_start.py"), cpus=cpus, stdout=writing)
    os.close(writing)
    try:
        _wait(reading)
        took = time.perf_counter() - begun
        return _figures(took, cpu_seconds([process.pid]))
    finally:
        os.close(reading)
        stop(process)


def first_answer(peer: Peer, place: Place, *, cpus: Collection[int]) -> dict[str, float]:
    """Start the peer's script; the time and the CPU time until its first answer is here."""
    if peer.inherits is None:
        raise Failed("cannot take a listening socket over")
    request = b"".join(prepare(peer.protocol, Shape()))
    Path(place.address).unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place.address)
        listener.listen(16)
        with connect(place.address, ANSWER_SECONDS) as sock:
            sock.sendall(request)
            begun = time.perf_counter()
            process = spawn(
                peer.inherits(place), cpus=cpus, stdin=listener.fileno(), stderr=subprocess.DEVNULL
            )
            try:
                data = b""
                while is_whole(peer.protocol, data) is None:
                    _wait(sock.fileno())
                    received = sock.recv(65536)
                    if not received:
                        raise Failed("the first answer broke off")
                    data += received
                took = time.perf_counter() - begun
                return _figures(took, cpu_seconds(process_tree(process.pid)))
            finally:
                stop(process)


def _wait(descriptor: int) -> None:
    if not select.select([descriptor], [], [], ANSWER_SECONDS)[0]:
        raise Failed(f"no answer within {ANSWER_SECONDS:g} s")


def _figures(took: float, cpu: float) -> dict[str, float]:
    return {"wall_ms": took * 1e3, "cpu_ms": cpu * 1e3}
