"""The line: requests that have come, and wait until fewer run than may run at once.

It is one line for all transport connections of the server, first in, first out. A newcomer goes to
its end while anybody waits, though a place may just have become free. A request in line takes no
greenlet and no thread: it is here with its PARAMS, and its connection sees to its body.

While nobody waits, the line costs one comparison for each request (``places``) and no more: there
is no timer, and nobody is told of the end of a request.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

from gevent.hub import get_hub

from gfcgi import limits
from gfcgi.server.reports import outside_hub
from gfcgi.wsgi.observed import Observed

if TYPE_CHECKING:
    from gfcgi.server.reports import Reports
    from gfcgi.server.request import ServerRequest
    from gfcgi.server.runners import Runners

__all__ = ["Line", "Waiting"]

_AT_ONCE: Final = 16
"""Requests that are let in before the loop has another turn: an application may answer each at
once, and there may be thousands."""

_LEAST_WAIT_SECONDS: Final = 0.01
"""Between two looks at who has waited for too long."""


class Waiting(Protocol):
    """What the line asks of a transport connection. All is called in the hub, and never raises."""

    def let_in(self, request: ServerRequest) -> None:
        """Start a request that was in line: it is its turn."""

    def turn_away(self, request: ServerRequest) -> None:
        """Refuse a request that was in line for too long."""


class Line:
    """Those who wait, at most ``seconds`` each, while ``most`` requests are with ``runners``.

    ``bound`` is the option that says how many ``most`` is, for the log. All methods are called in
    the thread of the hub.
    """

    __slots__ = (
        "_advances",
        "_bound",
        "_most",
        "_reports",
        "_runners",
        "_seconds",
        "_timer",
        "_waiting",
        "places",
    )

    def __init__(
        self, runners: Runners, most: int, bound: str, seconds: float, reports: Reports
    ) -> None:
        self._runners = runners
        self._most = most
        self._bound = bound
        self._seconds = seconds
        self._reports = reports
        # A dict would look at all that have left before, each time it is asked who is first.
        self._waiting: OrderedDict[ServerRequest, tuple[Waiting, float]] = OrderedDict()
        """Who waits, the first in line first: where each belongs, and until when it waits."""
        self._timer: Any = None
        self._advances = False
        """Whether the loop has been told to let somebody in."""
        self.places = most
        """So many requests may be running for a newcomer to start at once; 0 while anybody waits.
        """

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[ServerRequest]:
        """The first in line first."""
        return iter(self._waiting)

    @property
    def full(self) -> bool:
        """Whether nobody may wait any more, or nobody ever may."""
        return self._seconds == 0 or len(self._waiting) >= limits.WAITING_REQUESTS

    def refused(self) -> None:
        """Say in the log that a request came which may not wait."""
        self._reports.overload(self._most, self._bound)

    def enter(self, request: ServerRequest, where: Waiting) -> None:
        """Have a request wait, if it is not ``full``. It is let in or turned away later."""
        if not self._waiting:
            self.places = 0
            self._runners.when_free = self._advance_soon
        self._waiting[request] = where, monotonic() + self._seconds
        observers = self._runners.observers
        if observers is not None:
            request.observed = observed = Observed(request.params, request)
            observed.in_line = True
            outside_hub(observers.begin, observed)
        if self._timer is None:
            self._timer = get_hub().loop.timer(min(self._seconds, limits.LINE_SAID_SECONDS))
            self._timer.start(self._look)
        if len(self._runners.running) < self._most:
            self._advance_soon()

    def leave(self, request: ServerRequest) -> None:
        """Have a request wait no longer, if it does: nobody wants its answer any more."""
        if not self._waiting or self._waiting.pop(request, None) is None:
            return
        if not self._waiting:
            self._disband()
        self.has_ended(request)

    def has_ended(self, request: ServerRequest) -> None:
        """Tell who observes it that a request that was in line has ended, and never ran."""
        observers = self._runners.observers
        observed = request.observed
        if observers is not None and observed is not None:
            request.observed = None
            outside_hub(observers.end, observed)

    def close(self) -> None:
        """Forget who waits, and tell nobody."""
        self._waiting.clear()
        self._disband()

    def _disband(self) -> None:
        """Nobody waits any more."""
        self.places = self._most
        self._runners.when_free = None
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def _advance_soon(self) -> None:
        """Let the first in line in from the hub, so that control returns there when it blocks."""
        if not self._advances:
            self._advances = True
            get_hub().loop.run_callback(self._advance)

    def _advance(self) -> None:
        self._advances = False
        running = self._runners.running
        for _ in range(_AT_ONCE):
            if not self._waiting or len(running) >= self._most:
                return
            request, (where, _until) = self._waiting.popitem(last=False)
            if not self._waiting:
                self._disband()
            where.let_in(request)
        if self._waiting:
            self._advance_soon()

    def _look(self) -> None:
        """Say that there is a line, and refuse who has waited for too long; the timer calls it."""
        self._timer.close()
        self._timer = None
        self._reports.there_is_a_line(self._most, self._bound)
        now = monotonic()
        while self._waiting:
            request = next(iter(self._waiting))
            where, until = self._waiting[request]
            if until > now:
                self._timer = get_hub().loop.timer(max(until - now, _LEAST_WAIT_SECONDS))
                self._timer.start(self._look)
                return
            del self._waiting[request]
            self._reports.waited_in_vain(self._seconds, self._most, self._bound)
            where.turn_away(request)
        self._disband()
