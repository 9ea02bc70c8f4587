"""The package's loggers. A log line never raises into the code that logs it.

Handlers and filters are the application's own code, also those of the root logger, and may raise.
A request must be answered all the same, and the server must start. So each logger of gfcgi is a
``Log``: what the handlers did not take goes to standard error.
"""

from __future__ import annotations

import logging
import sys

from gfcgi.printing import traceback_text

__all__ = ["Log"]


class Log:
    """A logger of the standard library whose methods do not raise for a handler or a filter.

    The methods take what those of ``logging.Logger`` take.
    """

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, text: str, *values: object) -> None:
        self._write(logging.DEBUG, text, values)

    def info(self, text: str, *values: object) -> None:
        self._write(logging.INFO, text, values)

    def warning(self, text: str, *values: object) -> None:
        self._write(logging.WARNING, text, values)

    def error(
        self,
        text: str,
        *values: object,
        exc_info: BaseException | None = None,
        extra: dict[str, object] | None = None,
    ) -> None:
        self._write(logging.ERROR, text, values, exc_info, extra)

    def exception(self, text: str, *values: object) -> None:
        """Log the exception that is being handled."""
        self._write(logging.ERROR, text, values, sys.exc_info()[1])

    def takes(self, level: int) -> bool:
        """Return whether a line of this level would be logged."""
        return self._logger.isEnabledFor(level)

    def _write(
        self,
        level: int,
        text: str,
        values: tuple[object, ...],
        exc_info: BaseException | None = None,
        extra: dict[str, object] | None = None,
    ) -> None:
        if not self._logger.isEnabledFor(level):
            return
        try:
            # 3: the caller of the method that called this one.
            self._logger.log(level, text, *values, exc_info=exc_info, extra=extra, stacklevel=3)
        except (Exception, SystemExit) as error:
            _show(text, values, exc_info, error)


def _show(
    text: str, values: tuple[object, ...], exc_info: BaseException | None, error: BaseException
) -> None:
    """Print a line that the handlers did not take, and why, to standard error."""
    try:
        shown = traceback_text(exc_info) if exc_info is not None else ""
        print(
            f"gfcgi: {text % values if values else text}\n{shown}"
            f"gfcgi: the application's logging failed on that line: {error!r}",
            file=sys.stderr,
            flush=True,
        )
    except Exception:
        pass  # there is nowhere else to say it
