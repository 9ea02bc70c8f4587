"""Room for as many descriptors as there may be connections."""

from __future__ import annotations

from typing import Final

from gfcgi.options import Options
from gfcgi.process.log import log

__all__ = ["make_room"]

OWN_DESCRIPTORS: Final = 256
"""Beside a descriptor per connection: listeners, logs, the application's files and databases."""


def make_room(options: Options) -> None:
    """Raise the soft limit on open files toward the hard one as ``max_connections`` needs.

    The soft limit is 1024 by default, for the sake of programs that use select(2); we do not.
    """
    import resource

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
