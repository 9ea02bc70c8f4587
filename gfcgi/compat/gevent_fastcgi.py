"""gevent-fastcgi 1.1's server and WSGI handler. The names are the same; their package changes::

from gfcgi.compat.gevent_fastcgi import FastCGIServer, WSGIRequestHandler

FastCGIServer(("127.0.0.1", 9000), WSGIRequestHandler(application)).serve_forever()
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from gfcgi.compat.adapting import bind_of
from gfcgi.errors import ConfigError
from gfcgi.process.run import run_until_stopped
from gfcgi.process.start import EXIT_MISUSE, complain

__all__ = ["FastCGIServer", "WSGIRefRequestHandler", "WSGIRequestHandler", "WSGIServer"]


class WSGIRequestHandler:
    """Holds the application."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self.app = app


WSGIRefRequestHandler = WSGIRequestHandler


class FastCGIServer:
    """Serves the application of ``request_handler``.

    ``listener`` is a path, a host and a port, or a socket that listens.

    ``max_conns``, ``backlog`` and ``socket_mode`` are gfcgi's options of these meanings. ``role``
    and ``buffer_size`` have no effect: every role is served. One process is started whatever
    ``num_workers`` says; a line on standard error says how to have more.
    """

    def __init__(
        self,
        listener: object,
        request_handler: WSGIRequestHandler,
        role: int = 1,
        num_workers: int = 1,
        buffer_size: int = 1024,
        max_conns: int = 1024,
        socket_mode: int | None = None,
        backlog: int | None = None,
    ) -> None:
        self._application = request_handler.app
        self._listener = listener
        self._workers = num_workers
        self._options: dict[str, Any] = {"max_connections": max_conns}
        if backlog is not None:
            self._options["backlog"] = backlog
        if socket_mode is not None:
            self._options["socket_mode"] = socket_mode

    def serve_forever(self) -> None:
        """Serve until a signal stops it. Raises: SystemExit(2)."""
        if self._workers > 1:
            complain(
                f"gfcgi: num_workers={self._workers}: one process is started;"
                f" GFCGI_PROCESSES={self._workers} in the environment starts more, with gunicorn"
            )
        try:
            bind = self._bind()
        except ConfigError as error:
            complain(f"gfcgi: {error}")
            raise SystemExit(EXIT_MISUSE) from None
        run_until_stopped(self._application, self._options | {"bind": bind})  # type: ignore[arg-type]

    def _bind(self) -> str:
        if isinstance(self._listener, socket.socket):
            return f"fd:{self._listener.fileno()}"
        return bind_of(self._listener, "listener")


class WSGIServer(FastCGIServer):
    """The same for an application instead of its handler."""

    def __init__(self, address: object, app: Callable[..., Any], **keywords: Any) -> None:
        super().__init__(address, WSGIRequestHandler(app), **keywords)
