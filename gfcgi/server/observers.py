"""How requests are observed that run in greenlets or threads: see ``wsgi.observed``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

from greenlet import getcurrent

from gfcgi.wsgi.observed import Observed, Observers

if TYPE_CHECKING:
    from gfcgi.server.request import ServerRequest

__all__ = ["frame_of", "observing"]


def observing(
    observers: Observers, run: Callable[[ServerRequest], None]
) -> Callable[[ServerRequest], None]:
    """Return what runs a request and tells of its begin and end, in the request's greenlet."""

    def observe(request: ServerRequest) -> None:
        observed = request.observed
        if observed is None:
            observed = Observed(request.params, request, getcurrent())
            request.observed = observed
            observers.begin(observed)
        else:
            observed.greenlet = getcurrent()
            observed.in_line = False
        try:
            run(request)
        finally:
            request.observed = None
            observers.end(observed)

    return observe


def frame_of(observed: Observed) -> FrameType | None:
    """Return where a request stands, innermost; None if it has ended or waits for a thread.

    Any thread may ask.
    """
    if observed.thread:
        return sys._current_frames().get(observed.thread)
    runner = observed.greenlet
    if runner is None or observed.in_line:
        return None
    frame: FrameType | None = runner.gr_frame
    if frame is None and not runner.dead:  # it runs just now
        return sys._current_frames().get(runner.parent.thread_ident)
    return frame
