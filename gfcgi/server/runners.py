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
from typing import TYPE_CHECKING, cast

import greenlet
from gevent.hub import get_hub

if TYPE_CHECKING:
    from gfcgi.server.request import ServerRequest

__all__ = ["Runners"]


class _Runner(greenlet.greenlet):
    """A greenlet for requests; ``links`` are called, with it, at the end of each."""

    __slots__ = ("links", "parked")

    links: list[Callable[[greenlet.greenlet], object]]
    parked: bool

    def rawlink(self, callback: Callable[[greenlet.greenlet], object]) -> None:
        """As of a ``gevent.Greenlet``, but called in this one."""
        self.links.append(callback)

    def call_links(self) -> None:
        """Tell those who keep something for this greenlet that its request is over."""
        links = self.links
        self.links = []
        for callback in links:
            callback(self)


class Runners:
    """Calls ``run`` with every request, in a greenlet; belongs to the hub's thread."""

    __slots__ = ("_closed", "_fewest", "_parked", "_run", "running", "when_done")

    def __init__(self, run: Callable[[ServerRequest], None]) -> None:
        self._run = run
        self.running: set[ServerRequest] = set()
        self.when_done: Callable[[], None] | None = None
        """Called after every request, where it is set."""
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
            runner.parked = False
            if len(self._parked) < self._fewest:
                self._fewest = len(self._parked)
        else:
            runner = _Runner(self._serve, get_hub())
            runner.links = []
        request.greenlet = runner
        runner.switch(request)

    def _serve(self, request: ServerRequest | None) -> None:
        """The body of each greenlet; None ends it."""
        own, hub = cast(_Runner, greenlet.getcurrent()), get_hub()
        # The hub's own looks for a method of this greenlet's that plain ones do not have.
        switch = greenlet.greenlet.switch
        run, running, parked = self._run, self.running, self._parked
        while request is not None:
            running.add(request)
            try:
                run(request)
            finally:
                running.discard(request)
                request.over()
            request = None
            own.gr_context = None
            if own.links:
                own.call_links()
            if own.__dict__:
                own.__dict__.clear()
            if self.when_done is not None:
                self.when_done()
            if self._closed:
                return
            parked.append(own)
            own.parked = True
            try:
                # An earlier request may have left somebody behind who switches here.
                while own.parked:
                    request = switch(hub)
            except BaseException:
                # Something that an earlier request left behind: a gevent.Timeout, for one.
                if own.parked:
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
            runner.parked = False
            get_hub().loop.run_callback(runner.switch, None)
        del self._parked[:count]
