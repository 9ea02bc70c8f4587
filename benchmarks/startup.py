"""Measure a script from its start to its first answer, beside the mere import of gevent.

The script finds its listening socket on descriptor 0, as under Apache, and the request already
waits in it. So nothing but the script is measured. ``servers/bare_start.py``, for comparison,
answers too: both are measured in the same way up to the same moment.
"""

from __future__ import annotations

import select
import socket
import subprocess
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from benchmarks.accounting import cpu_seconds, process_tree
from benchmarks.generator import Failed
from benchmarks.processes import spawn, stop
from benchmarks.wire import Shape, connect, is_whole, prepare

__all__ = ["first_answer"]

ANSWER_SECONDS = 20.0


def first_answer(
    command: Sequence[str], protocol: str, address: str, *, cpus: Collection[int]
) -> dict[str, float]:
    """Start a script; return the time and the CPU time until its first answer has come."""
    request = b"".join(prepare(protocol, Shape()))
    Path(address).unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(16)
        with connect(address, ANSWER_SECONDS) as sock:
            sock.sendall(request)
            begun = time.perf_counter()
            process = spawn(command, cpus=cpus, stdin=listener.fileno(), stderr=subprocess.DEVNULL)
            try:
                data = b""
                while is_whole(protocol, data) is None:
                    _wait(sock.fileno())
                    received = sock.recv(65536)
                    if not received:
                        raise Failed("the first answer broke off")
                    data += received
                took = time.perf_counter() - begun
                cpu = cpu_seconds(process_tree(process.pid))
                return {"wall_ms": took * 1e3, "cpu_ms": cpu * 1e3}
            finally:
                stop(process)


def _wait(descriptor: int) -> None:
    if not select.select([descriptor], [], [], ANSWER_SECONDS)[0]:
        raise Failed(f"no answer within {ANSWER_SECONDS:g} s")
