"""What is known of the process, and of the others beside it, at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field

from gfcgi.process.status.counts import BUCKETS, CLASSES, RATES, Counts
from gfcgi.process.status.shared import Numbers

__all__ = ["Snapshot", "Standing", "numbers_of", "total"]


@dataclass(frozen=True)
class Standing:
    """A request in flight. ``method`` and ``path`` are the client's: any characters, in latin-1."""

    seconds: float
    method: str
    path: str
    place: str
    """Where its application stands, for people."""


@dataclass(frozen=True)
class Snapshot:
    """Numbers by process, and what only this process knows of itself."""

    version: str
    build: str
    pid: int
    at: float
    """Seconds since the epoch."""
    draining: bool
    idle_connections: int
    most_connections: int
    """So many may be open (max_connections)."""
    most_running: int
    """So many requests may run (max_concurrent_requests)."""
    processes: dict[int, Numbers]
    """By pid, this one's among them."""
    ended: Numbers = field(default_factory=dict)
    """Counts of the processes before."""
    alone: str = ""
    """Why there are no numbers of the other processes; empty if nothing is missing."""
    standing: tuple[Standing, ...] = ()
    """Requests of this process, the oldest first."""
    more: int = 0
    """Further ones, which are younger."""

    @property
    def own(self) -> Numbers:
        """The numbers of this process."""
        return self.processes[self.pid]

    @property
    def all(self) -> Numbers:
        """The sums over all processes, with the counts of those that have ended."""
        return total([*self.processes.values(), self.ended])

    @property
    def uptime(self) -> float:
        """Seconds since this process began to serve."""
        return max(0.0, self.at - self.own["started"])


def numbers_of(
    counts: Counts,
    *,
    now: float,
    started: float,
    running: int,
    waiting: int,
    connections: int,
    memory: int,
) -> Numbers:
    """Return all numbers of a process, under the names in which processes exchange them.

    ``now`` is monotonic, ``started`` seconds since the epoch, ``memory`` in bytes.
    """
    numbers: Numbers = {
        f"requests_{kind}_total": float(count)
        for kind, count in zip(CLASSES, counts.classes, strict=True)
    }
    for bound, count in zip((*BUCKETS, "more"), counts.buckets, strict=True):
        numbers[f"took_{bound}_total"] = float(count)
    for seconds in RATES:
        numbers[f"rate_{seconds}"] = counts.rate(now, seconds)
    return {
        **numbers,
        "seconds_total": counts.seconds,
        "sent_bytes_total": float(counts.sent),
        "own_total": float(counts.own),
        "running": float(running),
        "waiting": float(waiting),
        "connections": float(connections),
        "memory_bytes": float(memory),
        "started": started,
    }


def total(each: list[Numbers]) -> Numbers:
    """Add up numbers, name by name, and the requests of all classes."""
    sums: Numbers = {}
    for numbers in each:
        for name, value in numbers.items():
            sums[name] = sums.get(name, 0.0) + value
    sums["requests_total"] = requests_of(sums)
    return sums


def requests_of(numbers: Numbers) -> float:
    """How many requests have ended, of whatever class."""
    return sum(numbers.get(f"requests_{kind}_total", 0.0) for kind in CLASSES)
