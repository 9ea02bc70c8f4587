"""An HTTP front for development: it answers a browser or curl from a FastCGI application.

``http_server`` speaks HTTP. Its WSGI application sends each request as FastCGI over a transport
connection of its own, like a real Web server, and checks the answer as strictly as the strictest of
them.
"""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from gfcgi.client.body import BrokenBody, HttpClientGone, RequestBody
from gfcgi.client.http_head import BadRequest
from gfcgi.client.http_hosts import Hosts
from gfcgi.client.http_server import (
    LOCAL_ADDRESS,
    LOGGER,
    REQUEST_TARGET,
    HttpServer,
    ResponseCut,
    page,
)
from gfcgi.client.params import SERVER_SOFTWARE, BadRequestTarget, cgi_params
from gfcgi.client.request import Answer, Exchange, cooperative
from gfcgi.client.response import ResponseHead
from gfcgi.errors import FastCGIError, RemoteProtocolError
from gfcgi.http_fields import HOP_BY_HOP
from gfcgi.printing import INDENT, harmless, printable
from gfcgi.protocol import EndRequest, ProtocolStatus, Stderr, Stdout

__all__ = ["HttpFront"]

MAX_ERROR_LINE_BYTES: Final = 8 * 1024
"""Bytes of FCGI_STDERR that are kept until the line ends."""

LOG_ENTRY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [^ ]* gfcgi\[")
"""How a line of gfcgi's log begins."""


class _NoResponse(Exception):
    """The application gave no usable response. The text says why."""


class HttpFront:
    """Listen for HTTP on ``address`` and ask the application at the other end of ``connect``.

    ``connect`` returns a connected socket, of the standard library or of gevent, for each request.
    If it raises OSError, the client gets a 502 page. ``on_error_log`` gets each line that the
    application writes to FCGI_STDERR; by default the line is printed to stderr. The logger
    ``gfcgi.http`` gets a line for each request. ``listener`` is a socket that listens already.
    ``allowed_hosts`` are names that it answers to beside those of ``Hosts``.

    Everything runs in greenlets of the thread that called ``start``.
    """

    def __init__(
        self,
        address: tuple[str, int],
        connect: Callable[[], socket.socket],
        *,
        on_error_log: Callable[[str], None] | None = None,
        listener: socket.socket | None = None,
        allowed_hosts: Iterable[str] = (),
    ) -> None:
        self._address = address
        self._hosts = Hosts(address[0], allowed_hosts)
        self._listener = listener
        self._connect = connect
        self._on_error_log = on_error_log or _print_to_stderr
        self._server: HttpServer | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port. After the start, port 0 is replaced by the port that was chosen."""
        return self._address

    def start(self) -> None:
        """Listen and return. Raises: OSError if the address cannot be bound."""
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        if self._listener is None:
            self._listener = socket.create_server(self._address, family=family)
        listener = cooperative(self._listener)
        self._address = listener.getsockname()[:2]
        self._server = HttpServer(listener, self._respond)
        self._server.start()

    def fileno(self) -> int:
        """The descriptor of the socket that listens."""
        assert self._server is not None
        return int(self._server.socket.fileno())

    def stop(self, timeout_seconds: float = 1.0) -> None:
        """Stop listening. Cut requests that still run after ``timeout_seconds``."""
        if self._server is not None:
            self._server.stop_within(timeout_seconds)

    def _respond(
        self, environ: dict[str, Any], start_response: Callable[..., Callable[[bytes], None]]
    ) -> Iterable[bytes]:
        """Answer one HTTP request: the WSGI application that pywsgi calls."""
        method: str = environ["REQUEST_METHOD"]

        def own_page(status: str, text: str) -> list[bytes]:
            headers, content = page(status, text)
            start_response(status, headers)
            return [] if method == "HEAD" else [content]

        body: RequestBody = environ["wsgi.input"]
        try:
            if method == "CONNECT":
                raise BadRequestTarget("the request target of CONNECT is for a proxy")
            local = environ[LOCAL_ADDRESS]
            params = cgi_params(environ, environ[REQUEST_TARGET], server_address=local)
            self._hosts.check(params.get("HTTP_HOST", ""), local[0])
        except (BadRequest, BadRequestTarget) as error:
            body.abandon()
            return own_page(getattr(error, "status", "400 Bad Request"), str(error))

        name = f"{method} {params['REQUEST_URI']}"
        try:
            response = _Response(self._connect, params, body, _ErrorLog(self._on_error_log), name)
        except HttpClientGone as error:
            raise _cut(body, error) from None
        except BrokenBody as error:
            body.abandon()
            return own_page(error.status, str(error))
        except _NoResponse as error:
            LOGGER.error("%s: %s", printable(name), error)
            return own_page("502 Bad Gateway", str(error))
        try:
            write = start_response(response.status, response.headers)
            write(b"")  # the headers at once: the body may take its time
        except BaseException:
            response.close()
            raise
        return response


class _Response:
    """The response of one request, to be iterated by the HTTP server."""

    def __init__(
        self,
        connect: Callable[[], socket.socket],
        params: dict[str, str],
        body: RequestBody,
        errors: _ErrorLog,
        name: str,
    ) -> None:
        """Send the request and wait for the head of its response.

        Raises: HttpClientGone, BrokenBody, _NoResponse.
        """
        self._body = body
        self._errors = errors
        self._name = name
        self._protocol_status: int = ProtocolStatus.REQUEST_COMPLETE
        self._app_status = 0
        try:
            exchange = Exchange(connect(), params, stdin=body)
        except OSError as error:
            raise _NoResponse(f"cannot connect to the application: {error}") from error
        self._answer = exchange.answer()
        try:
            body.start(exchange.abort)
            head = self._head()
        except BaseException:
            exchange.close()
            self.close()
            raise
        self.status = f"{head.status} {head.reason}".rstrip()
        self._bodiless = params["REQUEST_METHOD"] == "HEAD" or head.status in (204, 304)
        length = head.get("content-length")
        self._content_length = None if length is None else int(length)
        dropped = HOP_BY_HOP | {"content-length"} if head.status in (204, 304) else HOP_BY_HOP
        self.headers = [pair for pair in head.headers if pair[0].lower() not in dropped]
        if head.get("server") is None:
            self.headers.append(("Server", SERVER_SOFTWARE))

    def __iter__(self) -> Iterator[bytes]:
        left = self._content_length
        try:
            for event in self._events():
                if self._bodiless or not isinstance(event, Stdout):
                    continue
                data = bytes(event.data)
                if left is not None:
                    if len(data) > left:
                        self._log("the response's body is longer than its Content-Length")
                        data = data[:left]
                    left -= len(data)
                yield data
        except (HttpClientGone, BrokenBody) as error:
            raise _cut(self._body, error) from None
        except (FastCGIError, OSError) as error:
            self._log(f"the response was cut short: {error}")
            raise _cut(self._body, error) from None
        if left and not self._bodiless:
            self._log(f"the response ended {left} bytes short of its Content-Length")
            raise _cut(self._body, "short body")
        if left is None and self._app_status and not self._bodiless:
            # Nothing else shows that there should be more; a page about the failure has its length.
            self._log("the application failed in the middle of the response")
            raise _cut(self._body, "failed")

    def close(self) -> None:
        """Close the transport connection, which aborts a request that still runs."""
        self._answer.close()  # type: ignore[attr-defined]
        self._errors.flush()

    def _head(self) -> ResponseHead:
        try:
            for event in self._events():
                if isinstance(event, ResponseHead):
                    return event
        except (HttpClientGone, BrokenBody):
            raise
        except RemoteProtocolError as error:
            raise _NoResponse(f"the application answered wrongly: {error.reason}") from error
        except (FastCGIError, OSError) as error:
            raise _NoResponse(f"the application did not answer: {error}") from error
        if self._protocol_status == ProtocolStatus.REQUEST_COMPLETE:
            raise _NoResponse("the application ended the request without a response")
        refusal = ProtocolStatus(self._protocol_status).name
        raise _NoResponse(f"the application refused the request: {refusal}")

    def _events(self) -> Iterator[Answer]:
        """Yield the head and the body. Error output goes to the error log."""
        for event in self._answer:
            if isinstance(event, Stderr):
                self._errors.write(bytes(event.data))
            elif isinstance(event, EndRequest):
                self._protocol_status = event.protocol_status
                self._app_status = event.app_status
            else:
                yield event

    def _log(self, reason: str) -> None:
        LOGGER.error("%s: %s", printable(self._name), reason)


class _ErrorLog:
    """FCGI_STDERR of one request, joined into lines: a record may end anywhere in a line."""

    def __init__(self, write_line: Callable[[str], None]) -> None:
        self._write_line = write_line
        self._rest = b""

    def write(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._write_line(line.decode("utf-8", "backslashreplace"))
        if len(self._rest) > MAX_ERROR_LINE_BYTES:
            self.flush()

    def flush(self) -> None:
        rest, self._rest = self._rest, b""
        if rest:
            self._write_line(rest.decode("utf-8", "backslashreplace"))


def _cut(body: RequestBody, reason: object) -> ResponseCut:
    """Return the error that ends the HTTP connection before the response's end."""
    body.abandon()
    return ResponseCut(reason)


def _print_to_stderr(line: str) -> None:
    """Print a line of the application's so that it neither controls the terminal nor looks like a
    line of our log.
    """
    shown = harmless(line)
    sys.stderr.write(f"{INDENT if LOG_ENTRY.match(shown) else ''}{shown}\n")
    sys.stderr.flush()
