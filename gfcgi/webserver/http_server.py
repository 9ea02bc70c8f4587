"""gevent's pywsgi, with what a proxy needs to know of an HTTP connection and a log of our own."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import gevent
import greenlet
from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer

from gfcgi.printing import printable
from gfcgi.webserver.body import RequestBody

__all__ = ["LOGGER", "REQUEST_TARGET", "HttpServer"]

LOGGER: Final = logging.getLogger("gfcgi.http")

REQUEST_TARGET: Final = "gfcgi.request_target"
"""The name in ``environ`` of the request target as it came."""


class _Handler(WSGIHandler):
    """Serves one HTTP connection; ``wsgi.input`` is a RequestBody."""

    def __init__(self, sock: Any, address: Any, server: HttpServer) -> None:
        super().__init__(sock, address, server)
        self._server = server
        self._body: RequestBody | None = None
        # Head and body are two sends: the second must not wait for the first's acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handle(self) -> None:
        with suppress(OSError):  # gone before it took the page about its malformed request
            super().handle()

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        self._body = RequestBody(
            self.wsgi_input,
            self.rfile,
            self.socket,
            expect_continue=environ.get("HTTP_EXPECT", "").lower() == "100-continue",
        )
        environ["wsgi.input"] = self._body
        environ[REQUEST_TARGET] = self.path
        # pywsgi reads on to the end of this one after the response.
        self.wsgi_input: Any = self._body
        return environ

    def handle_one_response(self) -> None:
        with self._server.busy():
            super().handle_one_response()
        if self._server.stopping or (self._body is not None and not self._body.keep_alive):
            self.close_connection = True

    def finalize_headers(self) -> None:
        super().finalize_headers()
        if self.command == "HEAD":
            self.response_use_chunked = False  # pywsgi would send the last chunk of a body

    def log_request(self) -> None:
        status: Any = self.status or b""
        text = status.decode("latin-1") if isinstance(status, bytes) else str(status)
        LOGGER.info(
            '%s "%s" %s %d %.0f ms',
            self.client_address[0],
            printable(self.requestline or ""),
            text[:3] if text[:3].isdigit() else "-",
            self.response_length,
            1000 * ((self.time_finish or time.time()) - self.time_start),
        )

    def log_error(self, msg: str, *args: Any) -> None:
        LOGGER.warning("%s", printable(msg % args if args else msg))

    def _handle_client_error(self, ex: Exception) -> Any:
        if isinstance(ex, OSError):
            return None  # left while it sent its headers
        return super()._handle_client_error(ex)  # type: ignore[misc]


class HttpServer(WSGIServer):
    """Accepts on ``listener``, a socket of gevent, for the WSGI application given to it."""

    handler_class = _Handler

    def __init__(self, listener: socket.socket, application: Callable[..., Any]) -> None:
        self._connections = Pool()
        super().__init__(
            listener,
            application,
            spawn=self._connections,
            log=None,
            error_log=None,
            # Only so that pywsgi does not ask the DNS for it.
            environ={"SERVER_NAME": listener.getsockname()[0]},
        )
        self.stopping = False
        self._answering: set[greenlet.greenlet] = set()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Mark the current greenlet as one that answers a request."""
        current = gevent.getcurrent()
        self._answering.add(current)
        try:
            yield
        finally:
            self._answering.discard(current)

    def stop_within(self, timeout_seconds: float) -> None:
        """Stop listening, close idle connections, give the others some time, then close them."""
        self.stopping = True
        self.close()
        for connection in list(self._connections):
            if connection not in self._answering:
                self._connections.killone(connection)
        self._connections.join(timeout_seconds)
        self._connections.kill()
