"""flipflop 1.0's ``WSGIServer``. One line of a script changes::

from gfcgi.compat.flipflop import WSGIServer
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gfcgi.compat.adapting import is_stopped_by_hup
from gfcgi.process.run import run_until_stopped

__all__ = ["WSGIServer"]


class WSGIServer:
    """Serves ``application`` on the socket that a Web server left on descriptor 0."""

    def __init__(self, application: Callable[..., Any]) -> None:
        self.application = application

    def run(self) -> bool:
        """Serve until a signal stops it; True if that was SIGHUP. Raises: SystemExit(2)."""
        return is_stopped_by_hup(run_until_stopped(self.application, {}))
