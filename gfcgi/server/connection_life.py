"""The life of a transport connection, whatever runs on it: its clocks, its errors and its end.

``connection.Connection`` inherits from it and adds the requests. Which phase may follow which is
the table of ``phases``; what is waited for is in ``deadlines``.

All calls from the hub go through ``_guarded``: an unexpected error ends this connection and touches
no other. The hub must not block. What may block runs in a greenlet of its own (``_run_blocking``),
and reading stops meanwhile.
"""

from __future__ import annotations

import contextlib
import socket
from abc import ABC, abstractmethod
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import greenlet
from gevent.hub import get_hub

from gfcgi.errors import RequestAborted
from gfcgi.server import deadlines
from gfcgi.server.deadlines import Deadlines
from gfcgi.server.output import Output
from gfcgi.server.phases import TRANSITIONS, Phase
from gfcgi.server.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from gfcgi.options import Options
    from gfcgi.server.deadlines import Late, Wheel
    from gfcgi.server.reports import Reports

__all__ = ["ConnectionLife"]

# Looked up once: a member of an enum costs some 100 ns on the way of every request.
_OPEN: Final = Phase.OPEN
_DRAINING: Final = Phase.DRAINING
_LINGERING: Final = Phase.LINGERING
_GIVEN_UP: Final = Phase.GIVEN_UP
_CLOSED: Final = Phase.CLOSED
_OVER: Final = (_GIVEN_UP, _CLOSED)

_GONE: Final = "the Web server has closed the transport connection"


class ConnectionLife(ABC):
    """A socket, what is written on it, and when it ends.

    ``address`` is the Web server's, as ``accept`` gives it. The owner of ``wheel`` calls
    ``check_timeouts`` when the connection is due there.
    """

    __slots__ = (
        "_address",
        "_blocking",
        "_deadlines",
        "_drained_bytes",
        "_reports",
        "_transport",
        "_wheel",
        "options",
        "output",
        "phase",
        "tick",
    )

    def __init__(
        self,
        sock: socket.socket,
        address: object,
        options: Options,
        reports: Reports,
        wheel: Wheel,
    ) -> None:
        self.options = options
        self.phase = _OPEN
        self.tick = 0
        """The place in the wheel (``deadlines.Timed``)."""
        self._address = address
        self._reports = reports
        self._wheel = wheel
        self._transport = Transport(sock, self._write_waits)
        self.output = Output(self._transport, self._give_up)
        self._deadlines = Deadlines(options, monotonic())
        self._drained_bytes = 0
        self._blocking = False

    @property
    def closed(self) -> bool:
        """Whether nothing is read or written any more."""
        return self.phase in _OVER

    @property
    def write_blocked(self) -> bool:
        """Whether a write waits for the Web server to read."""
        return self._transport.write_blocked_since > 0

    def _peer(self) -> str:
        """Name the Web server in a log line."""
        return self._transport.peer_name(self._address)

    # -- what a connection does besides

    @abstractmethod
    def _catch_up(self) -> None:
        """Read what is there: it may have come in time, while the loop stood still."""

    @abstractmethod
    def _go_on(self) -> None:
        """Read on after what may block."""

    @abstractmethod
    def _abort_requests(self, reason: str) -> None:
        """Abort everything that is active."""

    @abstractmethod
    def _closed(self) -> None:
        """The socket is closed."""

    # -- errors that nobody expected

    def _soon(self, step: Callable[[], None]) -> None:
        """Have the hub take a step; called in any greenlet."""
        get_hub().loop.run_callback(self._guarded, step)

    def _guarded(self, step: Callable[..., None], *values: Any) -> None:
        """Take a step. An unexpected error costs this connection, and no other."""
        try:
            step(*values)
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Close the connection and say so: an error that nobody expected came out of a step."""
        self._reports.failure(self._peer, error)
        try:
            self._give_up("an error in gfcgi itself")
        except Exception:  # no memory, for example: close at least the socket
            with contextlib.suppress(Exception):
                self._release()

    # -- what may block (in a greenlet for the purpose)

    def _run_blocking(self, act: Callable[[Any], None], what: Any) -> None:
        """Do what may block, and go on when it is done; called in the hub."""
        self._blocking = True
        self._transport.stop_reading()
        self._deadlines.paused(monotonic())
        greenlet.greenlet(self._act_and_go_on, get_hub()).switch(act, what)

    def _act_and_go_on(self, act: Callable[[Any], None], what: Any) -> None:
        try:
            self._guarded(self._act, act, what)
        finally:
            self._soon(self._unblocked)

    def _act(self, act: Callable[[Any], None], what: Any) -> None:
        try:
            act(what)
        except RequestAborted as error:
            self._reports.debug(self._peer(), error)

    def _unblocked(self) -> None:
        self._blocking = False
        if not self.closed:
            self._go_on()

    # -- timeouts

    def check_timeouts(self, now: float) -> None:
        """Give up what has taken too long by the monotonic time ``now``; called in the hub."""
        self._guarded(self._check_timeouts, now)

    def _watch(self) -> None:
        """Have ``check_timeouts`` called as soon as anything can be late."""
        if not self.closed:
            at = self._deadlines.next_expiry()
            if at != deadlines.NEVER:
                # What is waited for may come much earlier, and the connection idle from then on.
                idle = monotonic() + self.options.idle_timeout_seconds
                self._wheel.schedule(self, min(at, idle))

    def _check_soon(self) -> None:
        """Have ``check_timeouts`` called with the next tick, where no event comes to say more."""
        if not self.closed:
            self._wheel.schedule(self, 0.0)

    def _write_waits(self, since: float) -> None:
        self._deadlines.write_waits(since)
        if since:
            self._watch()

    def _check_timeouts(self, now: float) -> None:
        if now > self._deadlines.next_expiry():
            self._catch_up()
            for late in self._deadlines.late(now):
                if not self.closed:
                    self._end_late(late)

    def _end_late(self, late: Late) -> None:
        """End the connection for what is late."""
        kind = late.kind
        if kind == deadlines.WRITE:
            if not self._transport.is_writable():
                self._expired("the Web server has not read for", late.seconds)
        elif kind == deadlines.FIRST_BYTE and self.phase is not _DRAINING:
            self._expired("no request has come for", late.seconds)
        else:
            self._give_up()

    def _expired(self, what: str, seconds: float) -> None:
        self._reports.expired(self._peer(), what, seconds)
        self._give_up(f"{what} {seconds:.3g} seconds")

    # -- ending

    def cut(self) -> None:
        """End it now: abort what runs."""
        self._give_up("the server is stopping")

    def _enter(self, phase: Phase) -> bool:
        """Go over to ``phase``, or return False where the table has no way there."""
        if phase not in TRANSITIONS[self.phase]:
            return False
        self.phase = phase
        return True

    def _linger(self) -> None:
        """Send no more, and read until the Web server closes: it does when it has its answer.

        If we closed first, a Web server that still sends would get an error instead: the rest of a
        body that nobody reads, or a second empty STDIN. Some then do not read the answer at all.
        """
        if self._enter(_LINGERING):
            self._transport.shut_down(socket.SHUT_WR)
            self._deadlines.lingers(monotonic())
            self._watch()

    def _drop_late_bytes(self, count: int) -> None:
        """So many bytes came while lingering, and are for nobody."""
        self._deadlines.received(monotonic())
        self._drained_bytes += count
        if self._drained_bytes > self.options.max_drain_bytes:
            self._give_up()

    def _give_up(self, reason: str = _GONE) -> None:
        """Abort what is active, and close the socket when nobody writes to it; from anywhere."""
        if not self._enter(_GIVEN_UP):
            return
        self.output.closed = True
        self._transport.stop_reading()
        self._abort_requests(reason)
        if self.output.lock.locked():
            # This wakes a writer that waits; it then finds that the connection is closed.
            self._transport.shut_down()
            get_hub().loop.run_callback(
                greenlet.greenlet(self._release_behind_writers, get_hub()).switch
            )
        else:
            self._release()

    def _release_behind_writers(self) -> None:
        with self.output.lock:
            self._guarded(self._release)

    def _release(self) -> None:
        if self._enter(_CLOSED):
            if self.tick:
                self._wheel.remove(self)
            self._transport.close()
            self.output.forget()
            self._closed()
