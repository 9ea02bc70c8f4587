"""How requests are observed that run in greenlets or threads: see ``wsgi.observed``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import greenlet

from gfcgi.wsgi.observed import Observed, Observers

__all__ = ["frame_of", "observing"]


def observing(observers: Observers, run: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return what runs a request and tells of its begin and end, in the request's greenlet."""

    def observe(request: Any) -> None:
        observed: Observed | None = request.observed
        if observed is None:
            observed = observers.begin(request.params, request, greenlet.getcurrent())
        else:
            observed.greenlet = greenlet.getcurrent()
            observed.in_line = False
        try:
            run(request)
        finally:
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
