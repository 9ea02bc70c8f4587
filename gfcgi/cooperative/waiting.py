"""Waiting while other greenlets run: for a descriptor, or for what must be looked at again."""

from __future__ import annotations

import select
from collections.abc import Iterator
from typing import Any, Final

import gevent
import greenlet
from gevent._hub_local import get_hub_if_exists
from gevent.hub import get_hub
from gevent.monkey import get_original

from gfcgi import limits

__all__ = ["READ", "WRITE", "delays", "is_ready", "may_wait", "pause", "wait_for"]

READ: Final = 1
WRITE: Final = 2
"""gevent's events of a descriptor."""

_poll: Any = get_original("select", "poll")

pause = gevent.sleep


def may_wait() -> bool:
    """Whether a wait here lets others run: this thread has a hub, and it is not the hub that asks.

    Any other operating-system thread, and a thread without a hub, may as well wait in C.
    """
    hub = get_hub_if_exists()
    return hub is not None and greenlet.getcurrent() is not hub


def delays() -> Iterator[float]:
    """Seconds to pause between one look and the next."""
    seconds = limits.FIRST_PAUSE_SECONDS
    while True:
        yield seconds
        seconds = min(2 * seconds, limits.LONGEST_PAUSE_SECONDS)


def is_ready(fd: int, events: int, milliseconds: float | None = 0) -> bool:
    """Whether a descriptor can be read from or written to, in so long; waits in C."""
    looking = _poll()
    looking.register(fd, select.POLLIN if events == READ else select.POLLOUT)
    return bool(looking.poll(milliseconds))


def wait_for(fd: int, events: int) -> None:
    """Wait until a descriptor can be read from or written to."""
    if not may_wait():
        is_ready(fd, events, None)
    elif not is_ready(fd, events):
        hub: Any = get_hub()
        with hub.loop.io(fd, events) as watcher:
            hub.wait(watcher)
