"""What a connection and the server ask of whatever runs the application."""

from __future__ import annotations

from collections.abc import Callable, Collection
from types import FrameType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gfcgi.server.request import ServerRequest
    from gfcgi.wsgi.observed import Observers

__all__ = ["Runners"]


class Runners(Protocol):
    """Runs every request: in a greenlet, as ``greenlets`` does, or in another kind of thread.

    All methods are called in the thread of the hub.
    """

    when_done: Callable[[], None] | None
    """Is called in the hub's thread after every request, if it is set."""
    when_free: Callable[[], None] | None
    """The same, for whoever waits for a place; a request that fails oddly calls it too."""
    observers: Observers | None
    """Whom it tells of requests; None if nobody wants to know."""

    @property
    def running(self) -> Collection[ServerRequest]:
        """Requests whose application has been called and has not returned."""

    @property
    def current(self) -> ServerRequest | None:
        """The request whose application is the caller, if there is one."""

    @property
    def parked(self) -> int:
        """How many greenlets or threads wait for a request."""

    def start(self, request: ServerRequest) -> None:
        """Run a request; called in the hub. Returns when the request is done or first blocks."""

    def frame_of(self, request: ServerRequest) -> FrameType | None:
        """Where the application of a request is, innermost; None if that is not known."""

    def interrupt(self, request: ServerRequest, error: Exception) -> None:
        """Raise ``error`` at once where the application is, if that can be done; in the hub."""

    def kill(self, request: ServerRequest) -> None:
        """End the application of a request soon, if it still runs and can be ended."""

    def trim(self) -> None:
        """End what waits and was not needed since the last call."""

    def close(self) -> None:
        """End all that wait; each of the others ends with its request."""
