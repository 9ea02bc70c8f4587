"""The log: one line each on standard error, which a Web server keeps in its error log.

An application that sets up logging itself gets our lines there instead.
"""

from __future__ import annotations

import logging
import sys

from gfcgi.options import Options

__all__ = ["log", "set_up_logging"]

log = logging.getLogger("gfcgi.process")


class _UnlessConfigured(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to standard error as long as nobody has set up the root logger."""

    def emit(self, record: logging.LogRecord) -> None:
        if not logging.getLogger().handlers:
            super().emit(record)


def set_up_logging(options: Options) -> None:
    """Give the logger ``gfcgi`` a handler and a level, where the application gave it none."""
    logger = logging.getLogger("gfcgi")
    if not logger.handlers and sys.stderr is not None:
        handler = _UnlessConfigured(sys.stderr)
        handler.setFormatter(
            logging.Formatter("%(asctime)s gfcgi[%(process)d] %(levelname)s: %(message)s")
        )
        logger.addHandler(handler)
    if logger.level == logging.NOTSET:
        logger.setLevel(options.log_level.upper())
