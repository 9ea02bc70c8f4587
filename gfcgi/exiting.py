"""End a process that was forked from one that serves."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

__all__ = ["end_process"]


def end_process(error: object = None) -> NoReturn:
    """Exit at once, with the status that Python has for ``error`` if that is an exception.

    Neither exit handlers nor ``finally`` clauses run: they would clean up what is the parent's.
    """
    status = 0
    if isinstance(error, SystemExit):
        code = error.code
        if isinstance(code, int):
            status = code
        elif code is not None:
            if sys.stderr is not None:
                print(code, file=sys.stderr)
            status = 1
    elif isinstance(error, BaseException):
        status = 1
    for stream in sys.stdout, sys.stderr:
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # None, a closed pipe, closed
            pass
    os._exit(status & 0xFF)
