"""The greenlets in which requests run: each runs one request after another.

A new greenlet for every request would be simpler, and costs more than all the rest of a small one:
since CPython 3.11 each maps memory for its frames with its first call and unmaps it with its last.
So a greenlet whose request is done waits here for the next.

To the applications it is new all the same. What they keep by greenlet ends with the request: their
context variables, the attributes they set on the greenlet, and what asked to be told of its end,
as ``gevent.local`` and the patched ``threading`` do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import greenlet
from gevent.hub import get_hub

if TYPE_CHECKING:
    from gfcgi.server.request import ServerRequest

__all__ = ["Runners"]


class _Runner(greenlet.greenlet):
    """A greenlet for requests; ``links`` are called, with it, at the end of each."""

    __slots__ = ("links",)

    links: list[Callable[[greenlet.greenlet], object]]

    def rawlink(self, callback: Callable[[greenlet.greenlet], object]) -> None:
        """As of a ``gevent.Greenlet``, but called in this one."""
        self.links.append(callback)

    def end_request(self) -> None:
        """Forget everything that was kept for the request."""
        self.gr_context = None
        if self.links:
            links = self.links
            self.links = []
            for callback in links:
                callback(self)
        if self.__dict__:
            self.__dict__.clear()


class Runners:
    """Calls ``run`` with every request, in a greenlet; belongs to the hub's thread."""

    __slots__ = ("_closed", "_fewest", "_parked", "_run")

    def __init__(self, run: Callable[[ServerRequest], None]) -> None:
        self._run = run
        self._parked: list[_Runner] = []
        self._fewest = 0
        """How many have been waiting all the time since the last ``trim``."""
        self._closed = False

    @property
    def parked(self) -> int:
        """Greenlets that wait for a request."""
        return len(self._parked)

    def start(self, request: ServerRequest) -> None:
        """Run a request; called in the hub, returns when it is done or when it first blocks."""
        if self._parked:
            runner = self._parked.pop()
            self._fewest = min(self._fewest, len(self._parked))
        else:
            runner = _Runner(self._serve, get_hub())
            runner.links = []
        request.greenlet = runner
        runner.switch(runner, request)

    def _serve(self, own: _Runner, request: ServerRequest | None) -> None:
        """The body of each greenlet; None ends it."""
        hub, parked, switch = get_hub(), self._parked, greenlet.greenlet.switch
        while request is not None:
            self._run(request)
            request.greenlet = None
            request = None
            own.end_request()
            if self._closed:
                return
            parked.append(own)
            try:
                _, request = switch(hub)
            except BaseException:
                # Something that an earlier request left behind: a gevent.Timeout, for one.
                if own in parked:
                    parked.remove(own)
                raise

    def trim(self) -> None:
        """End those that were not needed since the last call."""
        self._end(self._fewest)
        self._fewest = len(self._parked)

    def close(self) -> None:
        """End all that wait, and the others with their requests."""
        self._closed = True
        self._end(len(self._parked))

    def _end(self, count: int) -> None:
        for runner in self._parked[:count]:
            get_hub().loop.run_callback(runner.switch, runner, None)
        del self._parked[:count]
