"""The log: one line each on standard error, which a Web server keeps in its error log.

An application that sets up logging itself gets our lines there instead.
"""

from __future__ import annotations

import copy
import logging
import sys
from typing import Final

from gfcgi.options import Options

__all__ = ["log", "set_up_logging", "show_tracebacks_once"]

log = logging.getLogger("gfcgi.process")

_LINE: Final = "%(asctime)s gfcgi[%(process)d] %(levelname)s: %(message)s"


class _UnlessConfigured(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to standard error as long as nobody has set up the root logger."""

    def emit(self, record: logging.LogRecord) -> None:
        if not logging.getLogger().handlers:
            super().emit(record)


class _WithoutApplicationTracebacks(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        if record.name == "gfcgi.wsgi" and not getattr(record, "only_here", False):
            record = copy.copy(record)
            record.exc_info = record.exc_text = None
        return super().format(record)


def set_up_logging(options: Options) -> None:
    """Give the logger ``gfcgi`` a handler and a level, where the application gave it none."""
    logger = logging.getLogger("gfcgi")
    if not logger.handlers and sys.stderr is not None:
        handler = _UnlessConfigured(sys.stderr)
        handler.setFormatter(logging.Formatter(_LINE))
        logger.addHandler(handler)
    if logger.level == logging.NOTSET:
        logger.setLevel(options.log_level.upper())


def show_tracebacks_once() -> None:
    """Log an application's exception in one line, without its traceback.

    FCGI_STDERR has the traceback as well, which goes to the same place where we are the Web server
    and under CGI; but not where whoever would read it has gone.
    """
    for handler in logging.getLogger("gfcgi").handlers:
        if isinstance(handler, _UnlessConfigured):
            handler.setFormatter(_WithoutApplicationTracebacks(_LINE))
