"""What is served where an application cannot be started: an error page, at once.

A process that ended would be started again and again, and a Web server holds requests meanwhile:
mod_fastcgi for up to 600 seconds.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from typing import Any, Final

from gfcgi.errors import ConfigError
from gfcgi.process.watched_files import files_named

__all__ = ["BrokenApplication"]

_STATUS: Final = "500 Internal Server Error"
_TEXT: Final = "The application could not be started. Its error log says why."


class BrokenApplication:
    """A WSGI application that answers every request with the page.

    ``error`` is why the start failed; ``files`` are those that must change for another one.
    ``debug`` shows the traceback on the page.
    """

    def __init__(self, error: ConfigError, *, debug: bool) -> None:
        cause = error.__cause__ or error
        said = "".join(traceback.format_exception(type(cause), cause, cause.__traceback__))
        self.error = error
        self.files = files_named(said)
        self._page = f"{_STATUS}\n\n{said if debug else _TEXT}\n".encode("utf-8", "replace")

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(self._page))),
            ("Cache-Control", "no-store"),
        ]
        start_response(_STATUS, headers)
        return [self._page]
