"""gfcgi.server.reports: lines that a stranger causes are bounded in rate, and counted."""

from __future__ import annotations

import logging

import pytest

from gfcgi.server import reports
from gfcgi.server.reports import RateLimit


class Clock:
    """Stands in for the time module."""

    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(reports, "time", clock)
    return clock


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.WARNING, "tests.reports")
    return lambda: [record.getMessage() for record in caplog.records]


def limit(**bounds):
    return RateLimit(logging.getLogger("tests.reports"), **bounds)


def test_a_burst_is_logged_and_what_comes_after_it_is_not(clock, lines):
    reports = limit(burst=3, per_second=1)
    for number in range(10):
        reports.warning("line %d", number)
    assert lines() == ["line 0", "line 1", "line 2"]


def test_what_was_kept_back_is_counted_with_the_next_line(clock, lines):
    reports = limit(burst=1, per_second=2)
    for number in range(4):
        reports.warning("line %d", number)
    clock.now += 0.5
    reports.warning("line %d", 4)
    reports.warning("line %d", 5)
    clock.now += 0.5
    reports.warning("line %d", 6)
    assert lines() == [
        "line 0",
        "3 more such lines were not logged",
        "line 4",
        "1 more such lines were not logged",
        "line 6",
    ]


def test_a_long_silence_earns_no_more_than_the_burst(clock, lines):
    reports = limit(burst=2, per_second=5)
    reports.warning("first")
    clock.now += 3600
    for number in range(5):
        reports.warning("line %d", number)
    assert lines() == ["first", "line 0", "line 1"]
