"""What holds for every test."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from io import FileIO

import pytest

# nohup and background jobs of a shell ignore these, which every process inherits that a test
# starts; gfcgi respects it. Whether the tests pass is not to depend on how they were started.
for _signum in (signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(_signum) is signal.SIG_IGN:
        signal.signal(
            _signum,
            signal.default_int_handler if _signum == signal.SIGINT else signal.SIG_DFL,
        )


@pytest.fixture(autouse=True)
def loop_that_knows_the_time() -> None:
    """Have the event loop look at the clock before each test.

    It does so when it runs, and what the main greenlet waits for is reckoned from its last look. If
    it has not run for a minute, because the tests before had no need of it, a timeout of a minute
    is over at once.
    """
    gevent = sys.modules.get("gevent")
    if gevent is not None:
        gevent.get_hub().loop.update_now()


@pytest.fixture
def terminal() -> Iterator[tuple[FileIO, FileIO]]:
    """The two ends of a terminal, ours and a program's; skips where none can be made."""
    try:
        descriptors = os.openpty()
    except OSError as error:
        pytest.skip(f"no terminal can be made here, as without /dev/pts: {error}")
    ours, theirs = (FileIO(descriptor, "r+") for descriptor in descriptors)
    with ours, theirs:
        yield ours, theirs


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        _leave_out_what_is_alone(items)
    if "GFCGI_SERVERS_MATRIX" not in os.environ:
        _give_a_second_try(items)


def _leave_out_what_is_alone(items: list[pytest.Item]) -> None:
    """Beside other tests it would measure them too; ``python -m suite`` runs it by itself."""
    reason = "it measures, so it runs alone: without -n, or by `python -m suite`"
    for item in items:
        if item.get_closest_marker("alone"):
            item.add_marker(pytest.mark.skip(reason=reason))


def _give_a_second_try(items: list[pytest.Item]) -> None:
    """Give a test on a real Web server a second try, which the summary then names (RERUN).

    Web servers have races of their own, which no test of ours can rule out: a fault of gfcgi's
    shows twice. The tables in the docs are of first tries alone. A RERUN is something to explain:
    what is known to go wrong is in ``servers/defects.py``, and the tests allow for it there.

    Under tox every test has one: ten thousand tests, once more for each Python, on a machine that
    may be busy, are too many for none to be late. What is named there more than now and then is to
    be mended.
    """
    everywhere = "TOX_ENV_NAME" in os.environ
    for item in items:
        if everywhere or item.get_closest_marker("servers"):
            item.add_marker(pytest.mark.flaky(reruns=1))
