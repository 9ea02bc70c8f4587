"""What holds for every test."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# nohup and background jobs of a shell ignore these, which every process inherits that a test
# starts; gfcgi respects it. Whether the tests pass is not to depend on how they were started.
for _signum in (signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(_signum) is signal.SIG_IGN:
        signal.signal(
            _signum,
            signal.default_int_handler if _signum == signal.SIGINT else signal.SIG_DFL,
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give a test on a real Web server a second try, which the summary then names (RERUN).

    Web servers have races of their own, which no test of ours can rule out: a fault of gfcgi's
    shows twice. The tables in the docs are of first tries alone. A RERUN is something to explain:
    what is known to go wrong is in ``servers/defects.py``, and the tests allow for it there.
    """
    if "GFCGI_SERVERS_MATRIX" in os.environ:
        return
    for item in items:
        if item.get_closest_marker("servers"):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Of several workers of pytest-xdist, the others pause while a test is marked ``alone``."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return (yield)
    with _turn(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@contextmanager
def _turn(*, alone: bool) -> Iterator[None]:
    """Hold the lock on this directory, shared or alone; who waits for it comes before others."""
    here = Path(__file__).parent
    room, door = os.open(here, os.O_RDONLY), os.open(here.parent, os.O_RDONLY)
    try:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
    finally:
        # In so many words: a child that a test has forked may have the descriptors still.
        for descriptor in (door, room):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)
