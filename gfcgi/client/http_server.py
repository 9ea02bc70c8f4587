"""gevent's pywsgi, extended for a proxy, which must know more of an HTTP connection.

pywsgi accepts connections, calls the application and writes the response. The requests and the
lines of the log are our own. What pywsgi does not document is used in this file alone.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, Literal

import gevent
import greenlet
from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer

from gfcgi import limits
from gfcgi.client.body import RequestBody
from gfcgi.client.http_head import BadRequest, RequestHead, read_head
from gfcgi.client.params import SERVER_SOFTWARE, header_params
from gfcgi.printing import printable
from gfcgi.unfailing_log import Log

__all__ = ["LOCAL_ADDRESS", "LOGGER", "REQUEST_TARGET", "HttpServer", "ResponseCut", "page"]

LOGGER: Final = Log("gfcgi.http")

REQUEST_TARGET: Final = "gfcgi.request_target"
"""The name of the raw request target in ``environ``."""

LOCAL_ADDRESS: Final = "gfcgi.local_address"
"""The name in ``environ`` of the address, host and port, at which the client connected."""

REQUEST_LINE_SHOWN: Final = 80
"""Characters of a malformed request line that the log shows."""


class ResponseCut(ConnectionResetError):
    """Raised by the application: the HTTP connection is closed before the response's end.

    pywsgi does not log this error number.
    """

    def __init__(self, reason: object) -> None:
        super().__init__(errno.ECONNRESET, str(reason))


def page(status: str, text: str) -> tuple[list[tuple[str, str]], bytes]:
    """Headers and body of a page of the front's own."""
    body = f"{status}\n\n{text}\n".encode("utf-8", "replace")
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Server", SERVER_SOFTWARE),
    ]
    return headers, body


class _Late(Exception):
    """Nothing came in time."""


class _Input:
    """Stands for pywsgi's own input, which reads the body to its end after the response."""

    def __init__(self, body: RequestBody) -> None:
        self._discard = body.finish


class _Handler(WSGIHandler):
    """Serves one HTTP connection; ``wsgi.input`` is a RequestBody."""

    def __init__(self, sock: Any, address: Any, server: HttpServer) -> None:
        super().__init__(sock, address, server)
        self._server = server
        self._body: RequestBody | None = None
        self._head: RequestHead | None = None
        # Head and body are two sends. The second must not wait until the first is acknowledged.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handle(self) -> None:
        with suppress(OSError):  # the client left before it got the page for a malformed request
            super().handle()

    def handle_one_request(self) -> Literal[True] | None:
        """Answer one request. Returns: True if another may follow, else None."""
        try:
            head = self._read_head()
        except (EOFError, OSError):
            return None  # the client left while it sent its headers
        except BadRequest as error:
            self._refuse(error)
            return None
        if head is None:
            return None
        self._head = head
        # What pywsgi's writing of responses looks at.
        self.command = head.method
        self.request_version = head.protocol
        self.requestline = f"{head.method} {head.target} {head.protocol}"
        self.close_connection = not head.persistent
        self.environ = self._environ(head)
        self.application = self.server.application
        self.handle_one_response()
        if self._body is not None and self._body.broken:
            self._linger()
        return None if self.close_connection or self.rfile.closed else True

    def _read_head(self) -> RequestHead | None:
        """Wait for the next request; None if none comes. Raises: BadRequest, EOFError, OSError."""
        first = limits.HTTP_HEAD_SECONDS if self._head is None else limits.HTTP_IDLE_SECONDS
        try:
            with gevent.Timeout(first, _Late()):
                if not self.rfile.peek(1):
                    return None
        except _Late:
            return None  # a browser connects before it has something to ask
        seconds = limits.HTTP_HEAD_SECONDS
        late = BadRequest(
            f"the request's head did not come within {seconds:g} seconds",
            status="408 Request Timeout",
        )
        with gevent.Timeout(seconds, late):
            return read_head(self.rfile)

    def _environ(self, head: RequestHead) -> dict[str, Any]:
        environ: dict[str, Any] = self.server.get_environ()
        self._body = RequestBody(
            self.rfile,
            self.socket,
            content_length=head.content_length,
            chunked=head.chunked,
            expect_continue=head.expects_continue,
        )
        self.wsgi_input: Any = _Input(self._body)
        environ |= {
            "REQUEST_METHOD": head.method,
            "SERVER_PROTOCOL": head.protocol,
            "REMOTE_ADDR": str(self.client_address[0]),
            "REMOTE_PORT": str(self.client_address[1]),
            "wsgi.input": self._body,
            REQUEST_TARGET: head.target,
            LOCAL_ADDRESS: self.socket.getsockname()[:2],
        }
        return environ | header_params(head)

    def _refuse(self, error: BadRequest) -> None:
        """Answer what is no request, and close (RFC 9112 §9.6)."""
        shown = printable(error.request_line[:REQUEST_LINE_SHOWN])
        if len(error.request_line) > REQUEST_LINE_SHOWN:
            shown += "…"
        LOGGER.warning(
            '%s "%s" %s: %s', self.client_address[0], shown, error.status[:3], printable(str(error))
        )
        headers, body = page(error.status, str(error))
        lines = [f"HTTP/1.1 {error.status}", *map(": ".join, headers), "Connection: close", "", ""]
        self.socket.sendall("\r\n".join(lines).encode() + body)
        self._linger()

    def _linger(self) -> None:
        """Drop for a moment what the client still sends: a close would reset the connection, and
        the client would not see its answer.
        """
        self.socket.shutdown(socket.SHUT_WR)
        left = limits.HTTP_LINGER_BYTES
        with gevent.Timeout(limits.LINGER_SECONDS, False):  # type: ignore[arg-type]
            while left > 0 and (dropped := len(self.socket.recv(limits.RECV_BYTES))):
                left -= dropped

    def handle_one_response(self) -> None:
        with self._server.busy():
            super().handle_one_response()
        if self._server.stopping or (self._body is not None and not self._body.keep_alive):
            self.close_connection = True

    def finalize_headers(self) -> None:
        super().finalize_headers()
        if self.command == "HEAD":
            self.response_use_chunked = False  # or pywsgi would send the last chunk of a body
        if self._server.stopping or (self._body is not None and self._body.closes):
            self.close_connection = True
        headers: Any = self.response_headers
        if self.close_connection and all(name.lower() != b"connection" for name, _ in headers):
            headers.append((b"Connection", b"close"))

    def _sendall(self, data: bytes | bytearray) -> None:
        seconds = limits.HTTP_SEND_SECONDS
        late = ResponseCut(f"the client read nothing for {seconds:g} seconds")
        with gevent.Timeout(seconds, late):
            super()._sendall(data)  # type: ignore[misc]

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


class HttpServer(WSGIServer):
    """Accept on ``listener``, a socket of gevent, and call ``application`` (WSGI)."""

    handler_class = _Handler

    def __init__(self, listener: socket.socket, application: Callable[..., Any]) -> None:
        self._connections = Pool()
        super().__init__(
            listener,
            application,
            spawn=self._connections,
            log=None,
            error_log=None,
            # Otherwise pywsgi would ask the DNS for the name.
            environ={"SERVER_NAME": listener.getsockname()[0]},
        )
        self.stopping = False
        self._answering: set[greenlet.greenlet] = set()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Mark the current greenlet: it answers a request."""
        current = gevent.getcurrent()
        self._answering.add(current)
        try:
            yield
        finally:
            self._answering.discard(current)

    def stop_within(self, timeout_seconds: float) -> None:
        """Stop listening and close idle connections. Close the others after some time."""
        self.stopping = True
        self.close()
        for connection in list(self._connections):
            if connection not in self._answering:
                self._connections.killone(connection)
        self._connections.join(timeout_seconds)
        self._connections.kill()
