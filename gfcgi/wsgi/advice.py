"""What the log says once: advice to whoever maintains the application.

A mistake of an application comes with every request, and one line of it is enough. So each kind is
logged once for an application, or once for the process where the line is about no application.
"""

from __future__ import annotations

from typing import Any

from gfcgi.unfailing_log import Log
from gfcgi.wsgi.request import Request, name_of

__all__ = ["Advice", "say_left_out", "said_in_process"]

log = Log("gfcgi.wsgi")

said_in_process: set[str] = set()
"""Hop-by-hop header fields, in lower case, that ``say_left_out`` has named."""


def say_left_out(name: str) -> None:
    """Say that a hop-by-hop header field of the application's is not sent."""
    if name.lower() not in said_in_process:
        said_in_process.add(name.lower())
        log.warning(
            "the application's %s header is left out: it concerns the Web server's own "
            "connection (PEP 3333, hop-by-hop); further ones are not logged",
            name,
        )


class Advice:
    """Advice to one application; each method logs with its first call alone."""

    __slots__ = ("_application", "_said")

    def __init__(self, application: object) -> None:
        self._application = application
        self._said: set[str] = set()

    def _is_new(self, kind: str) -> bool:
        if kind in self._said:
            return False
        self._said.add(kind)
        return True

    def bare_body(self, body: str | bytes) -> None:
        """Say that the application returns something else than an iterable of bytes."""
        if not self._is_new("bare body"):
            return
        application: Any = self._application
        while hasattr(application, "__wrapped__"):
            application = application.__wrapped__
        code = getattr(application, "__code__", None)
        if code is None:
            code = getattr(type(application).__call__, "__code__", None)
        log.warning(
            "the application %s%s returns %s where WSGI wants a list of bytes; it is sent as one "
            "piece, encoded as its Content-Type says. Change its line to: return %s",
            getattr(application, "__name__", None) or repr(application),
            f" ({code.co_filename}, line {code.co_firstlineno})" if code is not None else "",
            type(body).__name__,
            "[body]" if isinstance(body, bytes) else "[body.encode('utf-8')]",
        )

    def length_in_characters(self, request: Request, counted: int, length: int | None) -> None:
        """Say that a Content-Length counts characters, and what of it is sent: bytes, or None."""
        if self._is_new("length in characters"):
            log.warning(
                "%s: the application's Content-Length, %d, counts the characters of a str; %s."
                " Encode the body first, then count its bytes; further ones are not logged",
                name_of(request),
                counted,
                "it is left out" if length is None else f"corrected to {length} bytes",
            )

    def long_head(
        self, request: Request, length: int, webserver: str, most: int, setting: str
    ) -> None:
        """Say that a header block has ``length`` bytes, where ``webserver`` takes ``most``.

        ``setting`` is the Web server's setting that raises it, "" for none.
        """
        if self._is_new("long head"):
            log.warning(
                "%s: a header block of %d bytes: %s takes %d%s; further ones are not logged",
                name_of(request),
                length,
                webserver,
                most,
                f" unless {setting} says more" if setting else "",
            )
