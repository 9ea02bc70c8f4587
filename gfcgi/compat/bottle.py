"""A server for bottle: ``bottle.run(server="gfcgi.compat.bottle:FastCGI", bind=...)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bottle  # type: ignore[import-not-found, import-untyped, unused-ignore]

from gfcgi.addresses import TCPAddress
from gfcgi.process.run import run

__all__ = ["FastCGI"]


class FastCGI(bottle.ServerAdapter):  # type: ignore[misc]
    """Listens at ``host`` and ``port``, or ``bind``; a socket on descriptor 0 comes before both.

    Further arguments of ``bottle.run`` are the options of ``gfcgi.run``.
    """

    def run(self, handler: Callable[..., Any]) -> None:
        options: dict[str, Any] = {"bind": str(TCPAddress(self.host, int(self.port)))}
        start: Callable[..., None] = run
        start(handler, **(options | self.options))
