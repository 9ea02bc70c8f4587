"""Log lines that others can cause by what they send, at a bounded rate."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable

import greenlet
from gevent.hub import Hub

from gfcgi import limits
from gfcgi.errors import RemoteProtocolError
from gfcgi.unfailing_log import Log

__all__ = ["RateLimit", "Reports", "outside_hub"]

log = Log("gfcgi.server")


def outside_hub(call: Callable[..., object], *values: object) -> None:
    """Call at once, in a greenlet if this is the hub: a log handler may wait for something."""
    current = greenlet.getcurrent()
    if isinstance(current, Hub):
        greenlet.greenlet(call, current).switch(*values)
    else:
        call(*values)


class RateLimit:
    """A logger with a token bucket; it says how many lines it has kept back."""

    def __init__(
        self,
        log: Log | logging.Logger,
        *,
        burst: float = limits.LOG_BURST,
        per_second: float = limits.LOG_PER_SECOND,
    ) -> None:
        self._log = log
        self._burst = float(burst)
        self._per_second = per_second
        self._tokens = float(burst)
        self._filled_at = time.monotonic()
        self._kept_back = 0

    def warning(self, text: str, *values: object) -> None:
        """Log, or count, one line."""
        if self._may_log():
            outside_hub(self._log.warning, text, *values)

    def error(self, error: BaseException, text: str, *values: object) -> None:
        """Log, or count, one line with the traceback of ``error``."""
        if self._may_log():
            # Not as exc_info=True: in another greenlet nothing is being handled.
            outside_hub(functools.partial(self._log.error, exc_info=error), text, *values)

    def _may_log(self) -> bool:
        now = time.monotonic()
        grown = self._tokens + (now - self._filled_at) * self._per_second
        self._tokens = min(self._burst, grown)
        self._filled_at = now
        if self._tokens < 1:
            self._kept_back += 1
            return False
        self._tokens -= 1
        if self._kept_back:
            kept_back, self._kept_back = self._kept_back, 0
            outside_hub(self._log.warning, "%d more such lines were not logged", kept_back)
        return True


class Reports:
    """What a server has to say about its connections. ``peer`` names the Web server in each line.

    What Web servers do, too few resources, and errors of our own have a rate each, so that one
    kind cannot hide another.
    """

    def __init__(self) -> None:
        self._peers = RateLimit(log)
        self._shortages = RateLimit(log)
        self._failures = RateLimit(log)
        self._overruns = RateLimit(log)
        self._lines = RateLimit(log, burst=1, per_second=1 / limits.LINE_LOG_SECONDS)

    def warning(self, text: str, *values: object) -> None:
        """Log any line that a Web server or a client has caused."""
        self._peers.warning(text, *values)

    def protocol_error(self, peer: str, error: RemoteProtocolError) -> None:
        """Log what a Web server did wrong."""
        self._peers.warning(
            "%s: %s; %s is given up",
            peer,
            str(error),  # not the error itself: a record that is kept would keep the connection
            f"request {error.request_id}" if error.request_id else f"the {error.fatal.value}",
        )

    def expired(self, peer: str, what: str, seconds: float) -> None:
        """Log what took too long."""
        self._peers.warning("%s: %s %.3g seconds; given up", peer, what, seconds)

    def not_allowed(self, host: str, networks: str) -> None:
        """Log a connection from an address that may not connect."""
        self._peers.warning("%s may not connect: not in allow_from (%s)", host, networks)

    def overload(self, running: int, bound: str) -> None:
        """Log that a request was refused because as many as may are ``running`` (``bound``)."""
        self._shortages.warning(
            "%d requests are running (%s): one more was refused with 503", running, bound
        )

    def there_is_a_line(self, running: int, bound: str) -> None:
        """Log that requests wait in line."""
        self._lines.warning(
            "%d requests are running (%s): further ones wait in line", running, bound
        )

    def waited_in_vain(self, seconds: float, running: int, bound: str) -> None:
        """Log that a request was refused because it had to wait in line for too long."""
        self._shortages.warning(
            "%d requests are running (%s): one that has waited in line for %g seconds"
            " (queue_timeout_seconds) was refused with 503",
            running,
            bound,
            seconds,
        )

    def overran(self, name: str, seconds: float, what: str, stack: str) -> None:
        """Log that a request has run for too long, ``what`` was sent, and where it stands."""
        self._overruns.warning(
            "%s has run for %.3g s (request_timeout_seconds); %s. It stands in %s",
            name,
            seconds,
            f"its Web server gets {what}" if what else "its Web server has the response",
            stack,
        )

    def runs_on(self, name: str, seconds: float, stack: str) -> None:
        """Log that the application runs on for a request that was ended."""
        self._overruns.warning(
            "%s was ended (request_timeout_seconds), and its application still runs after %.3g s."
            " It stands in %s",
            name,
            seconds,
            stack,
        )

    def made_room(self, shortage: str) -> None:
        """Log that an idle connection was closed for a new one."""
        self._shortages.warning("%s: the connection that was idle longest made room", shortage)

    def no_room(self, most: int) -> None:
        """Log that a connection waits because all others are busy."""
        self._shortages.warning(
            "%d connections are open (max_connections) and none is idle: new ones wait", most
        )

    def shortage(self, error: OSError) -> None:
        """Log that a connection could not be accepted."""
        self._shortages.warning("cannot accept a connection: %s", error)

    def debug(self, peer: str, what: object) -> None:
        """Log what is usual and only of interest when something is being looked for."""
        if log.takes(logging.DEBUG):
            outside_hub(log.debug, "%s: %s", peer, what)

    def observer_failed(self, error: BaseException, name: str) -> None:
        """Log that somebody who was told of the request ``name`` has raised."""
        self._failures.error(error, "%s: an observer of requests failed", name)

    def failure(self, peer: Callable[[], str], error: BaseException) -> None:
        """Log an error that nobody expected. Never raises: its connection has to be closed."""
        with contextlib.suppress(Exception):
            try:
                name = peer()
            except Exception:
                name = "a Web server"
            self._failures.error(
                error, "%s: an error in gfcgi itself; the transport connection is given up", name
            )
