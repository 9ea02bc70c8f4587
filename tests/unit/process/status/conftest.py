"""Numbers and snapshots for the tests of each form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gfcgi.process.status.counts import CLASSES, Counts
from gfcgi.process.status.snapshot import Snapshot, Standing, numbers_of

HOSTILE = "/<script>alert(1)</script>\"'&\x1b[31m\n\xc3\xa9"
"""A path as a client may send it; the last letter is é in UTF-8."""


@pytest.fixture
def numbers() -> Callable[..., dict[str, float]]:
    """Make the numbers of a process; ``by_class`` are counts by name of CLASSES."""

    def numbers(by_class: dict[str, int], **more: float) -> dict[str, float]:
        counts = Counts()
        counts.classes = [by_class.get(name, 0) for name in CLASSES]
        counts.buckets[0] = counts.requests
        counts.sent = 1234
        counts.seconds = 2.0
        made = numbers_of(
            counts, now=0.0, started=1000.0, running=3, waiting=1, connections=5, memory=20_000_000
        )
        return {**made, **more}

    return numbers


@pytest.fixture
def snapshot(numbers: Callable[..., dict[str, float]]) -> Callable[..., Snapshot]:
    """Make a snapshot of one process, and change what a test names."""

    def snapshot(**more: Any) -> Snapshot:
        values: dict[str, Any] = {
            "version": "1.2",
            "build": "compiled",
            "pid": 7,
            "at": 1065.0,
            "draining": False,
            "idle_connections": 2,
            "most_connections": 10_000,
            "most_running": 100,
            "processes": {7: numbers({"2xx": 10, "5xx": 1})},
            "standing": (Standing(1.5, "GET", "/a", "app.py, line 3, in sleep"),),
        }
        return Snapshot(**{**values, **more})

    return snapshot


@pytest.fixture
def hostile(snapshot: Callable[..., Snapshot]) -> Snapshot:
    """A snapshot in which a client has chosen what is hardest to show."""
    return snapshot(standing=(Standing(1.5, "<i>", HOSTILE, "<b>\x07.py, line 1"),))
