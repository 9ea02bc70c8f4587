"""The greenlets in which requests run: each runs one request after another.

A new greenlet for every request would be simpler, but it costs more than all the rest of a small
request: since CPython 3.11 each greenlet maps memory for its frames with its first call and unmaps
it with its last. So a greenlet whose request is done waits here for the next request.

A greenlet that anybody else still refers to is not used again: a ``gevent.kill`` that its request
left behind, for one, would hit another request. Its reference count says so.

Applications do not notice. What they keep by greenlet ends with the request: their context
variables, the attributes that they set on the greenlet, and what asked to be told of its end, as
``gevent.local`` and the patched ``threading`` do.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import getrefcount
from types import FrameType
from typing import TYPE_CHECKING, cast

import greenlet
from gevent.hub import get_hub

from gfcgi.server.observers import observing

if TYPE_CHECKING:
    from gfcgi.server.request import ServerRequest
    from gfcgi.wsgi.observed import Observers

__all__ = ["Greenlets"]


class _RequestGreenlet(greenlet.greenlet):
    """A greenlet for requests. At the end of each request it calls ``links`` with itself."""

    __slots__ = ("links", "parked")

    links: list[Callable[[greenlet.greenlet], object]]
    parked: bool

    def rawlink(self, callback: Callable[[greenlet.greenlet], object]) -> None:
        """Do what ``gevent.Greenlet.rawlink`` does, but call ``callback`` in this greenlet."""
        self.links.append(callback)

    def call_links(self) -> None:
        """Tell everybody who keeps something for this greenlet that its request is over."""
        links = self.links
        self.links = []
        for callback in links:
            callback(self)


class Greenlets:
    """Implements ``runners.Runners``: calls ``run`` with every request, in a greenlet."""

    __slots__ = (
        "_closed",
        "_fewest",
        "_own_references",
        "_parked",
        "_run",
        "observers",
        "running",
        "when_done",
        "when_free",
    )

    def __init__(
        self, run: Callable[[ServerRequest], None], observers: Observers | None = None
    ) -> None:
        self._run = run if observers is None else observing(observers, run)
        self.observers = observers
        self.running: dict[ServerRequest, _RequestGreenlet] = {}
        self.when_done: Callable[[], None] | None = None
        """Is called after every request, if it is set."""
        self.when_free: Callable[[], None] | None = None
        """The same, for whoever waits for a place."""
        self._parked: list[_RequestGreenlet] = []
        self._fewest = 0
        """The smallest number of waiting greenlets since the last ``trim``."""
        self._closed = False
        self._own_references = 0

    @property
    def current(self) -> ServerRequest | None:
        """The request whose application is the caller, if there is one."""
        current = greenlet.getcurrent()
        for request, runner in self.running.items():
            if runner is current:
                return request
        return None

    @property
    def parked(self) -> int:
        """How many greenlets wait for a request."""
        return len(self._parked)

    def start(self, request: ServerRequest) -> None:
        """Run a request; called in the hub. Returns when the request is done or first blocks."""
        while self._parked:
            runner = self._parked.pop()
            runner.parked = False
            if len(self._parked) < self._fewest:
                self._fewest = len(self._parked)
            if getrefcount(runner) <= self._own_references:
                break
            get_hub().loop.run_callback(runner.switch, None)
        else:
            # A greenlet keeps what it is called with, for as long as it lives.
            self._new().switch([request])
            return
        runner.switch(request)

    def _new(self) -> _RequestGreenlet:
        runner = _RequestGreenlet(self._serve, get_hub())
        runner.links = []
        if not self._own_references:
            self._count_own_references()
        return runner

    def _count_own_references(self) -> None:
        """Find out how many references a greenlet has that waits and that nobody else knows.

        It depends on the version of Python. The greenlet waits as in ``_serve`` and is counted as
        in ``start``.
        """

        def wait() -> None:
            own = greenlet.getcurrent()
            greenlet.greenlet.switch(back)
            del own

        back = greenlet.getcurrent()
        runner = _RequestGreenlet(wait, back)
        runner.switch()
        self._own_references = getrefcount(runner)
        runner.switch()

    def _serve(self, first: list[ServerRequest]) -> None:
        """Run requests in one greenlet, until it gets None. The first comes in a list."""
        request: ServerRequest | None = first.pop()
        own, hub = cast(_RequestGreenlet, greenlet.getcurrent()), get_hub()
        # hub.switch() needs a method of the current greenlet that only gevent.Greenlet has.
        switch = greenlet.greenlet.switch
        run, running, parked = self._run, self.running, self._parked
        while request is not None:
            running[request] = own
            try:
                run(request)
            finally:
                del running[request]
                request.release()
                if self.when_free is not None:
                    self.when_free()
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
                # Code that an earlier request left behind may switch to this greenlet.
                while own.parked:
                    request = switch(hub)
            except BaseException:
                # For example a gevent.Timeout that an earlier request left behind.
                if own.parked:
                    parked.remove(own)
                raise

    def frame_of(self, request: ServerRequest) -> FrameType | None:
        """Where the application of a request waits, innermost."""
        runner = self.running.get(request)
        return None if runner is None else runner.gr_frame

    def interrupt(self, request: ServerRequest, error: Exception) -> None:
        """Raise ``error`` where the application of a request waits; called in the hub."""
        runner = self.running.get(request)
        # A file's record that breaks off would cost the transport connection. What sends it looks
        # itself whether the request has ended.
        if runner is not None and not request.sends_file:
            runner.throw(error)

    def kill(self, request: ServerRequest) -> None:
        """Raise GreenletExit where the application of a request is, if it still runs."""
        get_hub().loop.run_callback(self._kill, request)

    def _kill(self, request: ServerRequest) -> None:
        runner = self.running.get(request)
        if runner is not None:
            runner.throw()

    def trim(self) -> None:
        """End the greenlets that were not needed since the last call."""
        self._end(self._fewest)
        self._fewest = len(self._parked)

    def close(self) -> None:
        """End all that wait; each of the others ends with its request."""
        self._closed = True
        self._end(len(self._parked))

    def _end(self, count: int) -> None:
        for runner in self._parked[:count]:
            runner.parked = False
            get_hub().loop.run_callback(runner.switch, None)
        del self._parked[:count]
