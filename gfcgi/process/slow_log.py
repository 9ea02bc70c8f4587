"""Where requests stand that take long, while they still do.

The event loop looks at what runs, from time to time. It sees every greenlet that waits and every
thread. It does not see a greenlet that computes: while that runs, the loop stands still. The
watchdog's thread sees it then, and asks ``standing``. So each request is told of once, by whoever
has seen it first, and once more when it has ended.

While the loop stands still, only the request that holds it up is told of: all others wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Final

from gfcgi import limits
from gfcgi.printing import listed
from gfcgi.process.log import log
from gfcgi.process.stacks import name_and_client, place_of, stack_of

if TYPE_CHECKING:
    from gfcgi.server.background import Background
    from gfcgi.wsgi.observed import Observed

__all__ = ["SlowLog", "slow_log"]


class SlowLog:
    """An observer that logs where requests stand that have run for ``seconds``.

    ``warn`` logs a line that may come often; ``frame_of`` says where a request stands.
    """

    detailed: Final = False
    """It asks for nothing that costs a request more (``wsgi.observed.Observer``)."""

    def __init__(
        self,
        seconds: float,
        *,
        warn: Callable[..., None] = log.warning,
        frame_of: Callable[[Observed], FrameType | None] = lambda observed: None,
    ) -> None:
        self.seconds = seconds
        self.look_seconds = max(
            limits.SLOW_LOOK_LEAST_SECONDS,
            min(seconds * limits.SLOW_LOOK_PART, limits.SLOW_LOOK_MOST_SECONDS),
        )
        """Between two looks."""
        self._warn = warn
        self._frame_of = frame_of
        self._running: dict[Observed, bool] = {}
        """Those that nothing was said of, the oldest first."""
        self._told: dict[Observed, bool] = {}
        self._background: Background | None = None

    # -- the observer

    def request_begun(self, observed: Observed) -> None:
        self._running[observed] = True

    def request_ended(self, observed: Observed) -> None:
        self._running.pop(observed, None)
        if self._told.pop(observed, False) or observed.seconds >= self.seconds:
            self._warn(
                "%s took %.1f s in all: %s",
                _name(observed),
                observed.seconds,
                observed.status or "nothing was sent",
            )

    # -- in the loop

    def start(self) -> None:
        """Begin to look, in the event loop of this thread."""
        from gfcgi.server.background import Background

        self._background = Background(self._look_safely, self.look_seconds)
        self._background.start()

    def stop(self) -> None:
        if self._background is not None:
            self._background.stop()

    def _look_safely(self) -> None:
        try:
            self.look()
        except Exception:  # whatever it was, the next look comes
            log.exception("looking at the requests that take long failed")

    def look(self) -> None:
        """Log where requests stand that nothing was said of; those at one place together."""
        places: dict[tuple[str, ...], tuple[str, list[Observed]]] = {}
        for observed in list(self._running):
            if observed.seconds < self.seconds:
                break  # all others are younger
            frame = None if observed.in_line else self._frame_of(observed)
            if frame is None:
                continue  # it waits until it may run, or moves just now
            self._mark(observed)
            stack = tuple(stack_of(frame))
            places.setdefault(stack, (place_of(frame), []))[1].append(observed)
        for stack, (place, there) in places.items():
            self._warn("%s", _said(there, place, stack))

    # -- in the watchdog's thread, while the loop stands still

    def standing(self, observed: Observed, frame: FrameType | None, *, known: bool) -> str:
        """Return what is to be logged of the request that holds up the loop; mostly nothing.

        ``known`` says that this place was logged already.
        """
        if observed.seconds < self.seconds or observed not in self._running:
            return ""
        self._mark(observed)
        return "" if known else _said([observed], place_of(frame), tuple(stack_of(frame)))

    def _mark(self, observed: Observed) -> None:
        if self._running.pop(observed, False):
            self._told[observed] = True


def _said(there: list[Observed], place: str, stack: tuple[str, ...]) -> str:
    first, *others = there
    more = f"; so do {listed([_name(observed) for observed in others])}" if others else ""
    return (
        f"{_name(first)} has run for {first.seconds:.1f} s and stands in {place}{more}"
        + "".join(f"\n{line}" for line in stack)
    )


def _name(observed: Observed) -> str:
    return name_and_client({**observed.params, "REMOTE_ADDR": observed.remote_addr})


def slow_log(seconds: float, *, cgi: bool) -> SlowLog:
    """The slow log of this process; under CGI it tells of the end alone."""
    if cgi:
        return SlowLog(seconds)
    from gfcgi.server.observers import frame_of
    from gfcgi.server.reports import RateLimit

    return SlowLog(seconds, warn=RateLimit(log).warning, frame_of=frame_of)
