"""What becomes of an exception that no greenlet handles, while a server runs on the hub.

gevent ends the main greenlet, and the server with it, for SystemExit and SystemError in any
greenlet, and for whatever a signal handler raises in the hub. Here an application's greenlet or
signal handler must not stop the server: that is for the person who runs it. So these are logged,
and all else is left to gevent, KeyboardInterrupt too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from gevent.hub import get_hub

from gfcgi.server.reports import outside_hub
from gfcgi.unfailing_log import Log

__all__ = ["hub_errors_logged"]

log = Log("gfcgi.server")


@contextlib.contextmanager
def hub_errors_logged() -> Iterator[None]:
    """Log what would stop this thread's hub, while the body runs."""
    hub: Any = get_hub()
    before = hub.handle_error
    active = True

    def handle_error(context: object, kind: Any, error: Any, traceback: Any) -> None:
        stops = issubclass(kind, SystemExit | SystemError) or context is None
        if not active or not stops or issubclass(kind, KeyboardInterrupt):
            before(context, kind, error, traceback)
            return
        if not isinstance(error, BaseException):
            error = kind(error)
        what = "a signal handler" if context is None else repr(context)
        outside_hub(_log, what, error.with_traceback(traceback))

    hub.handle_error = handle_error
    try:
        yield
    finally:
        active = False
        if hub.__dict__.get("handle_error") is handle_error:
            hub.handle_error = before


def _log(what: str, error: BaseException) -> None:
    log.error(
        "%s ended with %s, which does not stop the server; a signal does",
        what,
        type(error).__name__,
        exc_info=error,
    )
