"""Log lines that a stranger can cause, at a bounded rate."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import greenlet
from gevent.hub import get_hub

from gfcgi import limits

__all__ = ["RateLimit", "outside_hub"]


def outside_hub(call: Callable[..., object], *values: object) -> None:
    """Call at once, in a greenlet if this is the hub: a log handler may wait for something."""
    hub = get_hub()
    if greenlet.getcurrent() is hub:
        greenlet.greenlet(call, hub).switch(*values)
    else:
        call(*values)


class RateLimit:
    """A logger with a token bucket; it says how many lines it has kept back."""

    def __init__(
        self,
        log: logging.Logger,
        *,
        burst: float = limits.LOG_BURST,
        per_second: float = limits.LOG_PER_SECOND,
    ) -> None:
        self._log = log
        self._burst = float(burst)
        self._per_second = per_second
        self._tokens = float(burst)
        self._filled_at = time.monotonic()
        self._kept_back = 0

    def warning(self, text: str, *values: object) -> None:
        """Log, or count, one line."""
        now = time.monotonic()
        grown = self._tokens + (now - self._filled_at) * self._per_second
        self._tokens = min(self._burst, grown)
        self._filled_at = now
        if self._tokens < 1:
            self._kept_back += 1
            return
        self._tokens -= 1
        if self._kept_back:
            kept_back, self._kept_back = self._kept_back, 0
            outside_hub(self._log.warning, "%d more such lines were not logged", kept_back)
        outside_hub(self._log.warning, text, *values)
