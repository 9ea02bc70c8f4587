"""What is counted of each request, and the rates."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from gfcgi.process.status.counts import BUCKETS, CLASSES, Counts
from gfcgi.wsgi.observed import Observed


def ended(status: str, seconds: float = 0.0, body: bytes = b"") -> Observed:
    observed = Observed({}, None, None)
    if status:
        observed.count(f"Content-Type: a/b\r\nStatus: {status}\r\n\r\n".encode() + body)
    observed.request = SimpleNamespace(
        stdin=SimpleNamespace(received=0), aborted=SimpleNamespace(is_set=bool)
    )
    observed.end()
    observed.ended = observed.began + seconds
    return observed


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("200 OK", "2xx"),
        ("204 No Content", "2xx"),
        ("304 Not Modified", "3xx"),
        ("404 Not Found", "4xx"),
        ("503 Service Unavailable", "5xx"),
        ("", "none"),
    ],
)
def test_request_is_counted_in_the_class_of_its_status(status: str, kind: str) -> None:
    counts = Counts()
    counts.request_ended(ended(status))
    assert dict(zip(CLASSES, counts.classes, strict=True)) == {
        name: int(name == kind) for name in CLASSES
    }
    assert counts.requests == 1


def test_bytes_and_seconds_add_up() -> None:
    counts = Counts()
    for seconds in (0.004, 0.3, 1000):
        counts.request_ended(ended("200 OK", seconds, b"12345"))
    assert counts.sent == 15
    assert counts.seconds == pytest.approx(1000.304)
    assert counts.buckets[0] == 1
    assert counts.buckets[BUCKETS.index(0.5)] == 1
    assert counts.buckets[-1] == 1
    assert sum(counts.buckets) == 3


def test_a_bucket_has_what_took_as_long_as_it_says_at_most() -> None:
    counts = Counts()
    observed = ended("200 OK")
    observed.began, observed.ended = 0.0, 0.25
    counts.request_ended(observed)
    assert counts.buckets[BUCKETS.index(0.25)] == 1


def test_change_is_told_once_until_it_has_been_looked_at() -> None:
    told = []
    counts = Counts()
    counts.changed = lambda: told.append(1)
    for _ in range(3):
        counts.request_begun(ended(""))
        counts.request_ended(ended("200 OK"))
    assert told == [1]
    counts.unsaid = False
    counts.request_ended(ended("200 OK"))
    assert told == [1, 1]


class TestRate:
    def counted(self, counts: Counts, number: int) -> None:
        for _ in range(number):
            counts.request_ended(ended("200 OK"))

    def test_steady_load_has_its_rate_over_any_time(self) -> None:
        counts = Counts()
        start = counts._samples[0][0]
        for second in range(1, 90):
            self.counted(counts, 20)
            counts.sample(start + second)
        now = start + 89
        assert [counts.rate(now, seconds) for seconds in (1, 10, 60)] == pytest.approx([20] * 3)

    def test_requests_after_a_long_rest_are_not_spread_over_it(self) -> None:
        counts = Counts()
        start = counts._samples[0][0]
        counts.sample(start + 300)  # as the first change after the rest does
        self.counted(counts, 10)
        assert counts.rate(start + 300.4, 10) == pytest.approx(1.0)
        assert counts.rate(start + 300.4, 1) == pytest.approx(10.0)

    def test_what_is_long_ago_has_no_rate(self) -> None:
        counts = Counts()
        start = counts._samples[0][0]
        self.counted(counts, 10)
        counts.sample(start + 1)
        assert counts.rate(start + 100, 10) == 0

    def test_young_process_divides_by_its_age(self) -> None:
        counts = Counts()
        self.counted(counts, 10)
        assert counts.rate(counts._samples[0][0] + 2, 60) == pytest.approx(5.0)

    def test_samples_are_bounded(self) -> None:
        counts = Counts()
        start = counts._samples[0][0]
        for tick in range(10_000):
            counts.sample(start + tick * 0.05)
        assert len(counts._samples) < 150
