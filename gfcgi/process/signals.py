"""Signals that stop the process: first in order, then at once.

SIGTERM, SIGHUP, SIGUSR1 and SIGINT stop accepting and let what runs finish. For one and the same
graceful restart Apache sends SIGUSR1 (or SIGHUP) to the whole process group and its process
manager sends SIGTERM besides, so that these two together still mean one stop. What means "at once"
is the same signal again, or SIGTERM or SIGINT after either of them; but mod_fcgid sends SIGTERM
twice for one stop, so that from a process manager a quick second one says nothing new.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from gfcgi.process.holding import SIGNALS, let_through
from gfcgi.process.log import log

__all__ = ["StopSignals"]

INSISTING: Final = frozenset({signal.SIGTERM, signal.SIGINT})
IGNORED_IS_MEANT: Final = frozenset({signal.SIGINT, signal.SIGHUP})
"""nohup, and a shell that starts a job in the background, have these ignored on purpose."""
REPEAT_SECONDS: Final = 3.0
"""mod_fcgid repeats its SIGTERM after little more than a second, and kills after eight."""


class StopSignals:
    """Calls ``stop`` at the first signal and ``at_once`` (which ends the process) at the second.

    ``managed`` is whether a process manager started this process, with its listening socket.
    """

    def __init__(
        self,
        stop: Callable[[], None],
        at_once: Callable[[int], None],
        *,
        managed: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.received: list[signal.Signals] = []
        self._stop = stop
        self._at_once = at_once
        self._managed = managed
        self._clock = clock
        self._terminated = float("-inf")

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals while the body runs; outside the main thread nobody can."""
        previous: dict[signal.Signals, Any] = {}
        try:
            for signum in SIGNALS:
                before = signal.getsignal(signum)
                if before is signal.SIG_IGN and signum in IGNORED_IS_MEANT:
                    continue
                signal.signal(signum, self.handle)
                previous[signum] = before
            let_through()
        except ValueError:
            log.warning("not started in the main thread: signals do not stop this server")
        try:
            yield
        finally:
            for signum, before in previous.items():
                # None is a handler that was not set from Python: it cannot be put back.
                signal.signal(signum, signal.SIG_DFL if before is None else before)

    def handle(self, number: int, frame: FrameType | None) -> None:
        signum = signal.Signals(number)
        if signum is signal.SIGTERM:
            since, self._terminated = self._terminated, self._clock()
            if self._managed and self._terminated - since < REPEAT_SECONDS:
                return
        again = signum in self.received
        insists = signum in INSISTING and not INSISTING.isdisjoint(self.received)
        self.received.append(signum)
        if again or insists:
            self._at_once(number)
        elif len(self.received) == 1:
            self._stop()
