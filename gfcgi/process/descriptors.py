"""The process's descriptors: the three standard ones, and how many there may be.

This module imports little: the standard descriptors come before anything else.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Final

    from gfcgi.options import Options

__all__ = ["open_standard", "raise_nofile_limit", "replace_by_null"]

OWN_DESCRIPTORS: Final = 256
"""Beside a descriptor per connection: listeners, logs, the application's files and databases."""


def open_standard() -> None:
    """Open those of descriptors 0, 1 and 2 that are closed.

    Otherwise the next sockets get these numbers, and what a program prints goes to a Web server.
    A process manager may leave descriptor 0 alone open (FastCGI 1.0 §2.2).
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            replace_by_null(fd)


def replace_by_null(fd: int) -> None:
    """Make ``fd``, whatever it is now, read as an empty file."""
    try:
        null = os.open(os.devnull, os.O_RDWR)
    except OSError:  # a chroot without it
        null = _empty_pipe()
    if null == fd:
        os.set_inheritable(fd, True)
    else:
        os.dup2(null, fd)
        os.close(null)


def _empty_pipe() -> int:
    """A descriptor to read nothing from. Writing to it fails, as to one that is closed."""
    reading, writing = os.pipe()
    os.close(writing)
    return reading


def raise_nofile_limit(options: Options) -> None:
    """Raise the soft limit on open files toward the hard one as ``max_connections`` needs.

    The soft limit is 1024 by default, for the sake of programs that use select(2); we do not.
    """
    import resource

    from gfcgi.process.log import log

    needed = options.max_connections + OWN_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    possible = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if possible > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
    if possible < needed:
        log.warning(
            "max_connections=%d needs %d open files, and the hard limit is %d:"
            " raise it (ulimit -Hn, LimitNOFILE=) or lower max_connections",
            options.max_connections,
            needed,
            hard,
        )
