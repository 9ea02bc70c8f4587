"""Whether the event loop turns: asked from outside, by a thread that is not gevent's.

The loop does nothing for it while it is asked nothing. A look at what its thread does tells whether
it waits for events. If not, it is given something to call; until it does that, it stands still.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable
from time import monotonic
from types import FrameType
from typing import Any

import greenlet
from gevent.hub import Hub, get_hub

from gfcgi.server.greenlets import Greenlets
from gfcgi.server.reports import outside_hub
from gfcgi.wsgi.request import Request

__all__ = ["Pulse", "call_soon", "request_at"]


def call_soon(call: Callable[[], object]) -> None:
    """Have a function called when the loop of the calling thread turns next; it must not wait."""
    hub: Any = get_hub()
    hub.loop.run_callback_threadsafe(call)


class Pulse:
    """The event loop of the thread that makes this.

    ``thread`` is that thread's number, as ``sys._current_frames`` has it. All methods may be called
    in any thread.
    """

    def __init__(self) -> None:
        hub: Any = get_hub()
        self._loop = hub.loop
        self.thread: int = hub.thread_ident
        self._waiting = {Hub.run.__code__, *_codes(type(self._loop), "run")}
        self._asked_at = self._turned_at = monotonic()
        self._asked = False

    def turns(self, frame: FrameType | None) -> bool:
        """Return whether the loop waits for events, or has turned since it was asked last.

        ``frame`` is where its thread is. If the loop does something, it is asked anew.
        """
        if frame is not None and frame.f_code in self._waiting:
            self._asked = False
            self._turned_at = monotonic()
            return True
        if self._asked:
            return False
        self._asked = True
        self._asked_at = monotonic()
        self._loop.run_callback_threadsafe(self._turned)
        return True

    @property
    def turned_at(self) -> float:
        """When the loop turned last as far as anybody has asked, on the monotonic clock."""
        return self._turned_at

    def waiting_frames(self, most: int) -> list[FrameType]:
        """Where the greenlets of the process wait, ``most`` of them. It looks at all objects."""
        found: list[FrameType] = []
        for thing in gc.get_objects():
            if issubclass(type(thing), greenlet.greenlet) and type(thing) is not Hub:
                frame = thing.gr_frame
                idle = frame is None or frame.f_code is _serve
                if not idle and len(found) < most:
                    found.append(frame)
        return found

    def call(self, call: Callable[..., object], *values: object) -> None:
        """Have a function called in the loop's thread, in a greenlet of its own, when it turns."""
        self._loop.run_callback_threadsafe(functools.partial(outside_hub, call, *values))

    def call_soon(self, call: Callable[[], object]) -> None:
        """The same in the loop itself, for a function that does not wait."""
        self._loop.run_callback_threadsafe(call)

    def _turned(self) -> None:
        self._turned_at = monotonic()
        self._asked = False


def _codes(kind: type, name: str) -> list[Any]:
    """The code of a method that is written in Python, such as those of gevent's loops in cffi."""
    found: list[Any] = [vars(base).get(name) for base in kind.__mro__]
    return [method.__code__ for method in found if hasattr(method, "__code__")]


_serve = Greenlets._serve.__code__


def request_at(frame: FrameType | None) -> Request | None:
    """Return the request whose greenlet is in ``frame``, a frame of any thread."""
    while frame is not None:
        if frame.f_code is _serve:
            request: Request | None = frame.f_locals.get("request")
            return request
        frame = frame.f_back
    return None
