"""``wsgi.errors``: a text stream to the Web server's error log, over FCGI_STDERR (§5.3)."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import ClassVar, NoReturn

from gfcgi.errors import RequestAborted
from gfcgi.unfailing_log import Log
from gfcgi.wsgi.request import Request

__all__ = ["ErrorStream", "log_late"]

log = Log("gfcgi.wsgi")


class ErrorStream:
    """A text stream that sends each line when the line ends, and an unfinished one on ``flush``.

    Text is encoded in UTF-8; lone surrogates are escaped. If the Web server has gone, the text goes
    to the log: it may say why. So does text that comes after the end of the request.
    """

    __slots__ = ("_request", "line_characters", "unfinished")

    def __init__(self, request: Request) -> None:
        self._request = request
        self.unfinished = ""
        """Text of a line that has not ended."""
        self.line_characters: int | None = None
        """The longest line that the Web server does not cut; longer ones are broken. None: any."""

    # What libraries ask a text stream before they write to it, as of sys.stderr.
    encoding: ClassVar[str] = "utf-8"
    errors: ClassVar[str] = "backslashreplace"
    mode: ClassVar[str] = "w"
    name: ClassVar[str] = "<wsgi.errors>"
    newlines: ClassVar[None] = None
    closed: ClassVar[bool] = False
    line_buffering: ClassVar[bool] = True

    def isatty(self) -> bool:
        return False

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def fileno(self) -> NoReturn:
        """Raise, as ``io.StringIO`` does: the text travels in records of the connection."""
        raise io.UnsupportedOperation("wsgi.errors has no descriptor")

    def write(self, text: object) -> int:
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors takes str, not {type(text).__name__}")
        lines, newline, rest = (self.unfinished + text).rpartition("\n")
        self.unfinished = rest
        if newline:
            self._send(lines + newline)
        return len(text)

    def writelines(self, lines: Iterable[object]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Send an unfinished line too."""
        if self.unfinished:
            rest, self.unfinished = self.unfinished, ""
            self._send(rest)

    def _send(self, text: str) -> None:
        if self.line_characters is not None:
            text = _broken(text, self.line_characters)
        try:
            self._request.write_error(text.encode("utf-8", "backslashreplace"))
        except RequestAborted:
            log_late(text)


def log_late(text: str) -> None:
    """Log what the Web server does not take any more."""
    log.warning("wsgi.errors, too late for the Web server: %s", text.rstrip("\n"))


def _broken(text: str, most: int) -> str:
    """Break the lines of ``text`` that are longer than ``most`` characters."""
    return "\n".join(
        line[start : start + most]
        for line in text.split("\n")
        for start in range(0, max(len(line), 1), most)
    )
