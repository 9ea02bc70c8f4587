"""A guard: what a request costs the server, beside a bare gevent server in the same seconds.

The CPU time is the kernel's account of the two processes, and of each the least of several turns
counts; so a busy machine changes little, and what it does, it does to both. It does not do so
alike: a processor whose cache others use slows the larger program more. So there are many turns,
and the bounds are half as much again as what was measured on the Python where the floor costs
least: they are for the change that makes everything slower, not for a microsecond.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import gfcgi.protocol.params
from benchmarks import generator
from benchmarks.generator import Target
from benchmarks.machine import pick_cpus
from benchmarks.peers import SERVERS
from benchmarks.processes import pids, running
from benchmarks.wire import Shape, ask, prepare
from benchmarks.worker import call

pytestmark = pytest.mark.alone

COMPILED = not str(gfcgi.protocol.params.__file__).endswith(".py")

TURNS = 30  # at most: they end as soon as the bound is met
SECONDS = 0.3
DEADLINE_SECONDS = 20.0

FLOOR = [sys.executable, SERVERS / "floor.py", "canned"]
GFCGI = [sys.executable, "-m", "gfcgi", "applications:hello", "--bind"]


@pytest.fixture
def servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, tuple[str, tuple[int, ...]]]]:
    """Address and processes of the floor and of gfcgi, both running; one at a time is asked."""
    for name in os.environ:
        if name.startswith("COVERAGE"):
            monkeypatch.delenv(name)  # to measure which lines run costs more than they do
    cpus, _ = pick_cpus()
    with ExitStack() as stack:
        log = stack.enter_context((tmp_path / "log").open("wb"))
        found = {}
        for name, command, scheme in (("floor", FLOOR, ""), ("gfcgi", GFCGI, "unix:")):
            address = str(tmp_path / name)
            started = running([*command, scheme + address], address, cpus=cpus, log=log)
            process = stack.enter_context(started)
            found[name] = address, pids(process)
        yield found


@pytest.mark.parametrize(
    ("keep", "most"),
    [
        pytest.param(True, 4.0 if COMPILED else 7.5, id="kept connections"),
        pytest.param(False, 3.0 if COMPILED else 5.5, id="a connection per request"),
    ],
)
def test_a_request_costs_little_more_than_a_bare_gevent_server(
    servers: dict[str, tuple[str, tuple[int, ...]]], keep: bool, most: float
) -> None:
    """Beyond ``most`` times the floor, something has become slower that was not meant to."""
    request = b"".join(prepare("fastcgi", Shape(keep=keep)))
    load = generator.kept if keep else generator.connecting
    _, cpus = pick_cpus()
    targets = {}
    for name, (address, processes) in servers.items():
        answer = ask(address, "fastcgi", request, timeout=DEADLINE_SECONDS)
        assert answer.body == b"Hello, world!\n"
        targets[name] = Target(address, processes, len(answer.wire), answer.wire)
    least = dict.fromkeys(targets, math.inf)
    for _ in range(TURNS):
        for name, target in targets.items():
            sample = call(
                load,
                target,
                request,
                connections=16,
                seconds=SECONDS,
                warm_up=SECONDS / 2,
                cpus=cpus,
                timeout=DEADLINE_SECONDS,
            )
            least[name] = min(least[name], sample.cpu / sample.requests)
        if least["gfcgi"] <= most * least["floor"]:
            return
    ours, floor = least["gfcgi"] * 1e6, least["floor"] * 1e6
    pytest.fail(
        f"a request costs {ours:.1f} µs, {ours / floor:.1f} times the floor's {floor:.1f} µs;"
        f" the bound is {most:g} times"
    )
