"""The loads: what is sent, to which application, and which servers take part."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Protocol

from benchmarks import front, generator, sleepers, transfers
from benchmarks.generator import Failed, Target
from benchmarks.peers import Peer, Place
from benchmarks.wire import Shape, ask, prepare
from benchmarks.worker import call

__all__ = ["LOADS", "Drive", "Load", "Timing"]

ANSWER_SECONDS = 20.0
MPX_DEPTH = 64
BODY_BYTES = 100 << 20
EVERYBODY = (
    "floor",
    "gfcgi",
    "gfcgi-compiled",
    "gevent-fastcgi",
    "flup",
    "uwsgi",
    "uwsgi-gevent",
    "gunicorn",
)
WITH_THREADS = (*EVERYBODY, "gfcgi-threads", "gfcgi-threads-compiled", "gunicorn-gthread")
BEHIND_NGINX = (*WITH_THREADS, "granian", "php-fpm")
EVERY_CORE = (
    "gfcgi-compiled",
    "gfcgi-processes",
    "uwsgi",
    "uwsgi-processes",
    "gunicorn-gthread",
    "gunicorn-gthread-processes",
)
FASTCGI_ONLY = tuple(name for name in EVERYBODY if name != "gunicorn")


class Figures(Protocol):
    def figures(self) -> dict[str, float]: ...


@dataclass(frozen=True)
class Timing:
    """How long a sample takes (seconds), if its load has no end of its own."""

    seconds: float = 2.0
    warm_up: float = 0.4


@dataclass(frozen=True)
class Drive:
    """One run: a load, a running server, and the cores of the load generator."""

    load: Load
    peer: Peer
    address: str
    pids: Callable[[], tuple[int, ...]]
    cpus: Collection[int]
    timing: Timing

    def target(self, request: bytes) -> Target:
        """Ask once, so that the server loads everything; later answers must look the same."""
        try:
            answer = ask(self.address, self.peer.protocol, request, timeout=ANSWER_SECONDS)
        except (OSError, EOFError) as error:
            raise Failed(f"the first request had no answer: {error}") from error
        if answer.status != "200":
            raise Failed(f"the first answer has status {answer.status}")
        # The head of an HTTP answer has the date, which changes.
        http = self.peer.protocol == "http"
        tail = answer.body if http else answer.wire
        return Target(self.address, self._all_pids(), len(answer.wire), tail)

    def _all_pids(self) -> tuple[int, ...]:
        """Return the processes once all of them are there."""
        until = time.monotonic() + ANSWER_SECONDS
        while len(found := self.pids()) < self.peer.processes:
            if time.monotonic() > until:
                raise Failed(f"{len(found)} processes, and not {self.peer.processes}")
            time.sleep(0.01)
        return found

    def call(self, function: Callable[..., Figures], *args: Any, **kwargs: Any) -> Figures:
        limit = 4 * (self.timing.seconds + self.timing.warm_up) + self.load.limit_seconds
        return call(function, *args, cpus=self.cpus, timeout=limit, **kwargs)


def _steady(drive: Drive) -> Figures:
    """Send requests for as long as the timing says."""
    load, timing = drive.load, drive.timing
    request = b"".join(prepare(drive.peer.protocol, load.shape))
    function = generator.kept if load.shape.keep else generator.connecting
    return drive.call(
        function,
        drive.target(request),
        request,
        connections=load.connections,
        seconds=timing.seconds,
        warm_up=timing.warm_up,
    )


def _numbered(load: Load) -> list[bytes]:
    return [
        b"".join(prepare("fastcgi", load.shape, request_id=request_id))
        for request_id in range(1, MPX_DEPTH + 1)
    ]


def _multiplexed(drive: Drive) -> Figures:
    requests = _numbered(drive.load)
    timing = drive.timing
    return drive.call(
        generator.multiplexed,
        drive.target(requests[0]),
        requests,
        seconds=timing.seconds,
        warm_up=timing.warm_up,
    )


def _flooded(drive: Drive) -> Figures:
    requests = _numbered(drive.load)
    return drive.call(
        generator.flooded,
        drive.target(requests[0]),
        requests[0],
        requests,
        connections=drive.load.connections,
        seconds=drive.timing.seconds,
        warm_up=drive.timing.warm_up,
    )


def _download(drive: Drive) -> Figures:
    request = b"".join(prepare(drive.peer.protocol, drive.load.shape))
    target = Target(drive.address, drive.pids(), 0, b"")
    return drive.call(
        transfers.download, target, request, body_bytes=BODY_BYTES, transfers=drive.load.transfers
    )


def _upload(drive: Drive) -> Figures:
    head, body = prepare(drive.peer.protocol, drive.load.shape)
    bare = drive.peer.name in ("floor", "blocking")
    marker = b"Hello" if bare else b"%d bytes" % BODY_BYTES
    target = Target(drive.address, drive.pids(), 0, marker)
    return drive.call(transfers.upload, target, head, body, transfers=drive.load.transfers)


def _sleeping(drive: Drive) -> Figures:
    request = b"".join(prepare(drive.peer.protocol, drive.load.shape))
    return drive.call(
        sleepers.sleeping,
        drive.target(request),
        request,
        requests=drive.load.connections,
        look=drive.load.look_at_memory,
    )


def _through_nginx(drive: Drive) -> Figures:
    return front.measure(
        front.Backend(drive.address, drive.peer.protocol, drive.pids, drive.peer.keeps),
        connections=drive.load.connections,
        seconds=drive.timing.seconds,
        cpus=drive.cpus,
    )


_HELLO = Shape()
_CLOSED = Shape(keep=False)


@dataclass(frozen=True)
class Load:
    """A kind of traffic.

    ``floor`` is the mode of servers/floor.py. ``limit_seconds`` is how much longer a run may take
    than its timing says.
    """

    name: str
    title: str
    run: Callable[[Drive], Figures]
    application: str = "hello"
    shape: Shape = _HELLO
    connections: int = 16
    peers: tuple[str, ...] = EVERYBODY
    floor: str = "canned"
    limit_seconds: float = 30.0
    transfers: int = 5
    look_at_memory: bool = False
    every_core: bool = False
    """Whether the server and the load generator may use every core, and share them."""
    rounds: int | None = field(default=None)
    """At most so many rounds, where a run takes long. None: no bound."""

    def place(self, **where: Any) -> Place:
        number: tuple[str, ...] = ()
        if self.floor in ("counted", "numbered", "recv_into"):
            number = (str(len(b"".join(prepare("fastcgi", self.shape)))),)
        elif self.floor == "sleeping":
            number = ("1" if self.application == "sleep_one" else "6",)
        return Place(
            application=f"applications:{self.application}",
            floor=(self.floor, *number),
            concurrency=max(1000, self.connections),
            multiplexed=self.run in (_multiplexed, _flooded),
            **where,
        )


LOADS = {
    load.name: load
    for load in (
        Load("kept-1", "hello, 1 kept connection", _steady, connections=1, peers=WITH_THREADS),
        Load("kept-16", "hello, 16 kept connections", _steady, peers=WITH_THREADS),
        Load("kept-256", "hello, 256 kept connections", _steady, connections=256),
        Load(
            "connecting",
            "hello, a connection per request",
            _steady,
            shape=Shape(keep=False),
            peers=WITH_THREADS,
        ),
        Load("cookie", "params with an 8 KB cookie", _steady, shape=Shape(cookie_bytes=8000)),
        Load(
            "upload-64k",
            "64 KB upload, read by the application",
            _steady,
            application="upload",
            shape=Shape(body_bytes=65536),
            peers=WITH_THREADS,
            floor="counted",
        ),
        Load(
            "multiplexed",
            f"{MPX_DEPTH} multiplexed requests on one connection",
            _multiplexed,
            peers=FASTCGI_ONLY,
            floor="numbered",
        ),
        Load(
            "flooded",
            f"hello, 16 kept connections beside one with {MPX_DEPTH} requests at any time",
            _flooded,
            peers=FASTCGI_ONLY,
            floor="numbered",
        ),
        Load(
            "download",
            "100 MB download by 64 KB",
            _download,
            application="download",
            shape=Shape(keep=False),
            peers=("blocking", *EVERYBODY),
            floor="sendall",
        ),
        Load(
            "upload",
            "100 MB upload by 64 KB",
            _upload,
            application="upload",
            shape=Shape(keep=False, body_bytes=BODY_BYTES),
            peers=("blocking", *EVERYBODY),
            floor="recv_into",
        ),
        Load(
            "nginx",
            "hello through nginx, 64 connections",
            _through_nginx,
            connections=64,
            peers=BEHIND_NGINX,
        ),
        Load(
            "cores",
            "2 ms of Python, a connection per request, every core",
            _steady,
            application="compute",
            shape=_CLOSED,
            peers=EVERY_CORE,
            every_core=True,
        ),
        Load(
            "sleeping",
            "5,000 requests at once that sleep 1 s",
            _sleeping,
            application="sleep_one",
            shape=_CLOSED,
            connections=5000,
            floor="sleeping",
            limit_seconds=40,
            rounds=3,
        ),
        Load(
            "asleep",
            "memory of 5,000 requests that sleep 6 s",
            _sleeping,
            application="sleep_six",
            shape=_CLOSED,
            connections=5000,
            floor="sleeping",
            limit_seconds=40,
            look_at_memory=True,
            rounds=3,
        ),
    )
}
