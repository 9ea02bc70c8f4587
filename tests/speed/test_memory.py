"""A guard: what a request that sleeps takes of the server's memory, beside a bare gevent server.

The count is nearly the same with every run. What Python and gevent take differs from one version to
the next by more than what gfcgi adds, so what is added is bounded.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.wire import Shape, prepare

SLEEPERS = Path(__file__).with_name("sleepers.py")
DEADLINE_SECONDS = 120

MOST_BYTES = 8_500
"""Measured: 2,500 to 7,250 in pure Python (CPython 3.13, 3.10), 6,050 compiled."""


def bytes_asleep(server: str) -> int:
    request = b"".join(prepare("fastcgi", Shape(keep=False)))
    done = subprocess.run(
        [sys.executable, SLEEPERS, server],
        # To measure which lines run takes memory too.
        env={name: value for name, value in os.environ.items() if "COVERAGE" not in name},
        input=request,
        stdout=subprocess.PIPE,
        check=True,
        timeout=DEADLINE_SECONDS,
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's count is Linux's")
def test_a_request_that_sleeps_takes_little_more_than_with_a_bare_gevent_server() -> None:
    floor, ours = bytes_asleep("floor"), bytes_asleep("gfcgi")
    assert ours - floor <= MOST_BYTES, f"{ours} bytes a request, {floor} of them the floor's"
    assert floor > 3_000, "nothing sleeps"
