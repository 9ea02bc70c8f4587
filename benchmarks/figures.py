"""Medians and ratios of a session's samples, and the targets for them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

__all__ = ["TARGETS", "Measured", "Target", "failure", "judge", "median", "ratio"]

Result = dict[str, Any]


def _samples(result: Result, load: str, peer: str) -> list[dict[str, float]]:
    runs = result["loads"].get(load, {}).get("peers", {}).get(peer, {})
    samples: list[dict[str, float]] = [] if "failed" in runs else runs.get("samples", [])
    return samples


def failure(result: Result, load: str, peer: str) -> str | None:
    """Return why the server fails the load; None if it does not, or was not asked."""
    runs = result["loads"].get(load, {}).get("peers", {}).get(peer, {})
    reason: str | None = runs.get("failed")
    return reason


def median(result: Result, load: str, peer: str, figure: str) -> float | None:
    """Return the median of all rounds; None if the server failed or was not asked."""
    values = _values(result, load, peer, figure)
    return statistics.median(values) if values else None


def ratio(result: Result, load: str, figure: str, peer: str, other: str) -> float | None:
    """Return the median of the ratios of ``peer`` to ``other``; a ratio is of one round."""
    pairs = zip(
        _values(result, load, peer, figure), _values(result, load, other, figure), strict=False
    )
    ratios = [mine / theirs for mine, theirs in pairs]
    return statistics.median(ratios) if ratios else None


def _values(result: Result, load: str, peer: str, figure: str) -> list[float]:
    samples = _samples(result, load, peer)
    if figure == "p99/p50":
        return [sample["p99_us"] / sample["p50_us"] for sample in samples if "p99_us" in sample]
    return [sample[figure] for sample in samples if figure in sample]


@dataclass(frozen=True)
class Target:
    """A bound for one figure of gfcgi, or for its ratio to the same figure of ``against``.

    ``must`` is the bound, ``aim`` a better one.
    """

    title: str
    load: str
    figure: str
    against: str | None
    must: float
    aim: float | None = None
    unit: str = "×"


TARGETS = (
    Target("hello, 16 kept connections, against the floor", "kept-16", "cpu_us", "floor", 2.5, 1.5),
    Target("the same, what is asked of the pure build", "kept-16", "cpu_us", "floor", 3.0),
    Target(
        "hello, 16 kept connections, against gevent-fastcgi",
        *("kept-16", "cpu_us", "gevent-fastcgi", 0.30, 0.20),
    ),
    Target(
        "hello, 16 kept connections, against gunicorn -k gevent (HTTP)",
        *("kept-16", "cpu_us", "gunicorn", 0.30, 0.20),
    ),
    Target(
        "hello, a connection per request, against uWSGI --gevent",
        *("connecting", "cpu_us", "uwsgi-gevent", 1.10, 0.55),
    ),
    Target(
        "hello, a connection per request, against gevent-fastcgi",
        *("connecting", "cpu_us", "gevent-fastcgi", 0.27, 0.18),
    ),
    Target(
        "100 MB download by 64 KB, against a bare gevent loop of sendall",
        *("download", "cpu_us", "floor", 1.3, 1.1),
    ),
    Target(
        "100 MB download by 64 KB, against sendall on a plain blocking socket",
        *("download", "cpu_us", "blocking", 1.3, 1.1),
    ),
    Target(
        "100 MB upload by 64 KB, against a bare gevent loop of recv_into",
        *("upload", "cpu_us", "floor", 1.5, 1.2),
    ),
    Target(
        "100 MB upload by 64 KB, against recv_into on a plain blocking socket",
        *("upload", "cpu_us", "blocking", 1.5, 1.2),
    ),
    Target(
        "memory per sleeping request, 5,000 at once",
        *("asleep", "memory_per_request_kb", None, 20, 14, "KB"),
    ),
    Target(
        "last of 5,000 answers after a sleep of 1 s",
        *("sleeping", "last_answer_seconds", None, 1.8, None, "s"),
    ),
    Target(
        "CPU from script start to first answer, against patch_all() and import gevent.server",
        *("startup", "cpu_ms", "bare", 1.25, 1.0),
    ),
    Target(
        "time from script start to first answer, against the same",
        *("startup", "wall_ms", "bare", 1.25, 1.0),
    ),
    Target(
        "p99 / p50, 16 kept connections, against the floor's",
        *("kept-16", "p99/p50", "floor", 2.0),
    ),
    Target(
        "p99 / p50, 256 kept connections, against the floor's",
        *("kept-256", "p99/p50", "floor", 2.0),
    ),
    Target(
        "p99 / p50, 16 kept connections beside a flooding one, against the floor's",
        *("flooded", "p99/p50", "floor", 2.0),
    ),
)


@dataclass(frozen=True)
class Measured:
    target: Target
    value: float | None

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        if self.target.aim is not None and self.value <= self.target.aim:
            return "reaches the aim"
        if self.value <= self.target.must:
            return "reaches the must"
        return "**falls short**"


def judge(result: Result, peer: str = "gfcgi") -> list[Measured]:
    """Compare a build of gfcgi with each target."""
    measured = []
    for target in TARGETS:
        if target.against is None:
            value = median(result, target.load, peer, target.figure)
        else:
            value = ratio(result, target.load, target.figure, peer, target.against)
        measured.append(Measured(target, value))
    return measured
