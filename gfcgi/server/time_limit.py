"""The bound on how long a request may run (``request_timeout_seconds``).

A request that has run for longer is ended for its Web server: with a page that says 504, or with a
cut where a part of the response was sent. Where the application stands then is in the log. Only
after that it is told. A greenlet has ``RequestTimedOut`` raised where it waits. A thread cannot be
reached, and finds out with its next read or write. So what becomes of the request does not depend
on what the application makes of the exception. Its place is free when it has returned.

There is no timer for a request: the server looks from time to time at who has run for how long.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import greenlet
from gevent.hub import get_hub

from gfcgi.errors import RequestAborted, RequestTimedOut
from gfcgi.wsgi.pages import refusal
from gfcgi.wsgi.request import name_of

if TYPE_CHECKING:
    from gfcgi.server.reports import Reports
    from gfcgi.server.request import ServerRequest
    from gfcgi.server.runners import Runners

__all__ = ["TimeLimit", "plain_stack"]

_LATE_SECONDS: Final = 0.1
"""So late a busy machine makes a look anyway."""

_NEVER: Final = float("inf")


def plain_stack(frame: FrameType | None) -> str:
    """Say where code stands, for a server that was not told how this is to be said."""
    import traceback  # for this alone

    return "\n" + "".join(traceback.format_stack(frame)).rstrip() if frame is not None else "?"


class TimeLimit:
    """Ends requests that have run for more than ``seconds``.

    ``look_seconds`` is between two calls of ``look``. ``stack_of`` says where code stands: a place
    on the first line, and the stack on further ones.
    """

    __slots__ = (
        "_began",
        "_ended",
        "_look_seconds",
        "_looked",
        "_not_before",
        "_reports",
        "_seconds",
        "_spared",
        "_stack_of",
    )

    def __init__(
        self,
        seconds: float,
        look_seconds: float,
        reports: Reports,
        stack_of: Callable[[FrameType | None], str],
    ) -> None:
        self._seconds = seconds
        self._look_seconds = look_seconds
        self._reports = reports
        self._stack_of = stack_of
        self._began: dict[ServerRequest, float] = {}
        """Who runs, and since when (monotonic, in seconds); the oldest first."""
        self._ended: dict[ServerRequest, float] = {}
        """Who runs on though it was ended, and when the log is to say so."""
        self._looked = monotonic()
        self._not_before = 0.0
        self._spared = False
        """Whether the last look has ended nobody, because the loop had stood still."""

    def timing(self, answer: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return ``answer`` with a look at the clock; for the greenlet or thread of a request."""
        began = self._began

        def run(request: Any) -> None:
            key = request.timed
            began[key] = monotonic()
            try:
                answer(request)
            except RequestTimedOut:
                pass  # it came when the application had returned
            finally:
                del began[key]

        return run

    def look(self, runners: Runners) -> None:
        """End who has run for too long; called in the hub."""
        now = monotonic()
        late = now - self._looked > 2 * self._look_seconds + _LATE_SECONDS
        self._looked = now
        if late and not self._spared:
            # The loop stood still. What requests have waited for may be there; they have until the
            # next look, not counting the one that libev makes up for. If that is late too, the loop
            # has been through once more: it may stand still all the time.
            self._spared = True
            self._not_before = now + self._look_seconds / 2
        if now < self._not_before:
            return
        self._spared = False
        for request, since in list(self._began.items()):
            if now - since <= self._seconds:
                break
            try:
                if request not in self._ended:
                    self._ended[request] = now + self._seconds
                    self._end(request, now - since, runners)
                elif now > self._ended[request]:
                    self._ended[request] = _NEVER
                    stack = self._stack_of(runners.frame_of(request))
                    self._reports.runs_on(name_of(request), now - since, stack)
            except Exception as error:  # costs nobody else his end
                self._reports.failure(lambda: "request_timeout_seconds", error)
        if self._ended:
            self._ended = {one: at for one, at in self._ended.items() if one in self._began}

    def _end(self, request: ServerRequest, seconds: float, runners: Runners) -> None:
        stack = self._stack_of(runners.frame_of(request))
        what = request.expire(f"the request has run for more than {self._seconds:g} seconds")
        self._reports.overran(name_of(request), seconds, what, stack)
        if what:
            greenlet.greenlet(self._answer, get_hub()).switch(request)
        runners.interrupt(
            request, RequestTimedOut(f"request_timeout_seconds={self._seconds:g} are over")
        )

    def _answer(self, request: ServerRequest) -> None:
        """Answer in the application's place; in a greenlet for this."""
        page = refusal("504 Gateway Timeout", request.params)
        try:
            request.end_late(page)
        except RequestAborted:
            pass  # the Web server has left
        except Exception as error:
            self._reports.failure(lambda: name_of(request), error)
