"""Which signals stop the process, and how they are made to wait while it is set up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["SIGNALS", "held_back", "let_through"]

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


@contextmanager
def held_back() -> Iterator[None]:
    """Keep the signals from this thread while the body runs, or until ``let_through``.

    A process that a Web server started has requests waiting from the beginning. Signals that
    Apache sends at a graceful restart would end it before there is a server to finish them.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def let_through() -> None:
    """Let the signals come, those that wait at once."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
