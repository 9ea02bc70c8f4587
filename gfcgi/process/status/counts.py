"""What a process counts of the requests that it has answered.

Every request passes here, so there is nothing but what has to be counted. Everything else is found
out when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

from gfcgi.wsgi.observed import Observed

__all__ = ["BUCKETS", "CLASSES", "RATES", "Counts"]

CLASSES: Final = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
"""Classes of the response's status; "none": the Web server went away before there was an answer."""

_QUICK_SECONDS: Final = 0.005

BUCKETS: Final = (_QUICK_SECONDS, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds that a request took, at most; the usual ones of Prometheus, and half a minute."""

RATES: Final = (1, 10, 60)
"""Seconds over which rates are shown."""

_SAMPLE_SECONDS: Final = 0.5
"""Between two of the samples that rates are made of. It divides the shortest of RATES."""


class Counts:
    """Implements ``gfcgi.wsgi.observed.Observer``. ``changed`` is called after the first change."""

    __slots__ = (
        "_samples",
        "buckets",
        "changed",
        "classes",
        "own",
        "seconds",
        "sent",
        "unsaid",
    )

    detailed = False
    """Method and path of a request in flight may as well be those that the application sees."""

    def __init__(self) -> None:
        self.classes = [0] * len(CLASSES)
        self.buckets = [0] * (len(BUCKETS) + 1)
        """By BUCKETS, not cumulated; the last one for what took longer."""
        self.seconds = 0.0
        """That all of them took together."""
        self.sent = 0
        """Bytes of all bodies."""
        self.own = 0
        """Answers of the status page and of the ping, which are in no other count."""
        self.unsaid = False
        """Whether ``changed`` was called and has not reset this yet."""
        self.changed: Callable[[], object] | None = None
        self._samples: deque[tuple[float, int]] = deque([(monotonic(), 0)])

    @property
    def requests(self) -> int:
        """How many have ended."""
        return sum(self.classes)

    def request_begun(self, observed: Observed) -> None:
        if not self.unsaid and self.changed is not None:
            self.unsaid = True
            self.changed()

    def request_ended(self, observed: Observed) -> None:
        self.classes[observed.status_class] += 1
        self.sent += observed.sent
        seconds = observed.ended - observed.began
        self.seconds += seconds
        # Most requests are quick, and a look into the table costs as much as all the rest here.
        self.buckets[0 if seconds <= _QUICK_SECONDS else bisect_left(BUCKETS, seconds)] += 1
        if not self.unsaid and self.changed is not None:
            self.unsaid = True
            self.changed()

    # -- rates

    def sample(self, now: float) -> None:
        """Take note of how many have ended by now (monotonic), for the rates."""
        samples = self._samples
        if now - samples[-1][0] >= _SAMPLE_SECONDS:
            samples.append((now, self.requests))
        while len(samples) > 2 and samples[1][0] <= now - RATES[-1]:
            samples.popleft()

    def rate(self, now: float, seconds: float) -> float:
        """Requests a second that have ended in the last ``seconds``, or since the start."""
        start = self._samples[0][0]
        since = max(now - seconds, start)
        return (self.requests - self._count_at(since, now)) / max(now - since, 1e-3)

    def _count_at(self, then: float, now: float) -> float:
        """How many had ended by then: between two samples, as if they had come evenly."""
        later_at, later = now, self.requests
        for at, count in reversed(self._samples):
            if at <= then:
                part = (then - at) / max(later_at - at, 1e-9)
                return count + part * (later - count)
            later_at, later = at, count
        return later
