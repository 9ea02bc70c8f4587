"""``wsgi.errors``: text for the Web server's error log, over FCGI_STDERR (§5.3), at once."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from gfcgi.errors import RequestAborted
from gfcgi.wsgi.request import Request

__all__ = ["ErrorStream"]

log = logging.getLogger("gfcgi.wsgi")


class ErrorStream:
    """A text stream that sends each line as it is finished, and the rest when it is flushed.

    Text is encoded in UTF-8; what cannot be (lone surrogates) is escaped. Where the Web server
    has gone the text goes to the log, for it may be the reason.
    """

    __slots__ = ("_request", "_rest", "line_characters")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._rest = ""
        self.line_characters: int | None = None
        """Where to break longer lines, for a Web server that would cut them."""

    def write(self, text: object) -> int:
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors takes str, not {type(text).__name__}")
        lines, newline, rest = (self._rest + text).rpartition("\n")
        self._rest = rest
        if newline:
            self._send(lines + newline)
        return len(text)

    def writelines(self, lines: Iterable[object]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Send an unfinished line too."""
        if self._rest:
            rest, self._rest = self._rest, ""
            self._send(rest)

    def _send(self, text: str) -> None:
        if self.line_characters is not None:
            text = _broken(text, self.line_characters)
        try:
            self._request.write_error(text.encode("utf-8", "backslashreplace"))
        except RequestAborted:
            log.warning("wsgi.errors, after the Web server has gone: %s", text.rstrip("\n"))


def _broken(text: str, most: int) -> str:
    """Break the lines of ``text`` that are longer than ``most`` characters."""
    return "\n".join(
        line[start : start + most]
        for line in text.split("\n")
        for start in range(0, max(len(line), 1), most)
    )
