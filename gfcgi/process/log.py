"""The log: one line each on standard error, which a Web server keeps in its error log.

An application that sets up logging itself gets our lines there instead.
"""

from __future__ import annotations

import copy
import logging
import os
import select
import sys
import time
from typing import Any, Final

from gfcgi.options import Options
from gfcgi.printing import one_entry, traceback_text
from gfcgi.process.originals import original
from gfcgi.unfailing_log import Log

__all__ = ["log", "reopen_log_files", "set_up_logging", "show_tracebacks_once", "write_at_once"]

log = Log("gfcgi.process")

_LINE: Final = "%(asctime)s gfcgi[%(process)d] %(levelname)s: %(message)s"


class _UnlessConfigured(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to standard error as long as nobody has set up the root logger."""

    def emit(self, record: logging.LogRecord) -> None:
        if not logging.getLogger().handlers:
            super().emit(record)


class _Entries(logging.Formatter):
    """Neither a message nor an exception's text controls a terminal or looks like another entry."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return one_entry(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        error = ei[1]
        return traceback_text(error).rstrip("\n") if error is not None else ""


class _WithoutApplicationTracebacks(_Entries):
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
        handler.setFormatter(_Entries(_LINE))
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


def write_at_once(level: str, text: str, fd: int = 2) -> None:
    """Write a line of the log to standard error, past ``logging``, which takes locks.

    For threads that must not wait for whoever holds those, or for a pipe that nobody reads: what
    finds no room there is lost. ``fd`` is where to write instead of standard error.
    """
    now = time.time()
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
    line = f"{stamp},{int(now * 1000) % 1000:03d} gfcgi[{os.getpid()}] {level}: {text}\n"
    data = line.encode("utf-8", "backslashreplace")
    poll = original("select", "poll")()
    poll.register(fd, select.POLLOUT)
    try:
        # A pipe that is ready takes as much at least without waiting.
        while data and poll.poll(0) == [(fd, select.POLLOUT)]:
            data = data[os.write(fd, data[: select.PIPE_BUF]) :]
    except OSError:
        pass  # there is nowhere else to say it


def reopen_log_files() -> None:
    """Open anew every file that a handler of ``logging`` writes to: it may have been renamed."""
    loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    for logger in loggers:
        for handler in getattr(logger, "handlers", ()):
            if isinstance(handler, logging.FileHandler) and handler.stream is not None:
                handler.acquire()
                try:
                    before, handler.stream = handler.stream, handler._open()
                    before.close()
                except OSError as error:
                    log.warning("cannot reopen %s: %s", handler.baseFilename, error)
                finally:
                    handler.release()
