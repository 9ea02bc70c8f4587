"""An HTTP front for development: a browser or curl in front of a FastCGI application.

gevent's pywsgi speaks HTTP; the WSGI application given to it turns each request into FastCGI over
a transport connection of its own, as a real Web server would, and is as strict with the answer as
the strictest of them.
"""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from gfcgi.errors import FastCGIError, RemoteProtocolError
from gfcgi.printing import printable
from gfcgi.protocol import EndRequest, ProtocolStatus, Stderr, Stdout
from gfcgi.webserver.body import BrokenBody, HttpClientGone, RequestBody
from gfcgi.webserver.http_server import LOGGER, REQUEST_TARGET, HttpServer
from gfcgi.webserver.params import SERVER_SOFTWARE, BadRequestTarget, cgi_params
from gfcgi.webserver.request import Answer, Exchange, cooperative
from gfcgi.webserver.response import ResponseHead

__all__ = ["HttpFront"]

MAX_ERROR_LINE_BYTES: Final = 8 * 1024
"""Of FCGI_STDERR kept until the line ends."""

HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers about the HTTP connection, which is not the application's (RFC 9110 §7.6.1)."""

Headers = list[tuple[str, str]]


class _NoResponse(Exception):
    """The application gave no response that could be passed on; says why."""


class HttpFront:
    """Listens for HTTP on ``address`` and asks the application that ``connect`` reaches.

    ``connect`` returns a connected socket, of the standard library or of gevent, for each request;
    OSError from it becomes a 502 page. ``on_error_log`` is called with each line that the
    application writes to FCGI_STDERR; the default prints it to our own stderr. A line for each
    request goes to the logger ``gfcgi.http``.

    Everything runs in greenlets of the thread that called ``start``.
    """

    def __init__(
        self,
        address: tuple[str, int],
        connect: Callable[[], socket.socket],
        *,
        on_error_log: Callable[[str], None] | None = None,
    ) -> None:
        self._address = address
        self._connect = connect
        self._on_error_log = on_error_log or _print_to_stderr
        self._server: HttpServer | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it listens on; once started, the port that was chosen for 0."""
        return self._address

    def start(self) -> None:
        """Listen and return. Raises: OSError if the address cannot be bound."""
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        listener = cooperative(socket.create_server(self._address, family=family))
        self._address = listener.getsockname()[:2]
        self._server = HttpServer(listener, self._respond)
        self._server.start()

    def stop(self, timeout_seconds: float = 1.0) -> None:
        """Stop listening, let running requests end within ``timeout_seconds``, then cut them."""
        if self._server is not None:
            self._server.stop_within(timeout_seconds)

    def _respond(
        self, environ: dict[str, Any], start_response: Callable[..., Callable[[bytes], None]]
    ) -> Iterable[bytes]:
        """Answer one HTTP request: the WSGI application that pywsgi calls."""
        method: str = environ["REQUEST_METHOD"]

        def page(status: str, text: str) -> list[bytes]:
            body = f"{status}\n\n{text}\n".encode("utf-8", "replace")
            headers = [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Content-Length", str(len(body))),
                ("Server", SERVER_SOFTWARE),
            ]
            start_response(status, _with_connection(headers, environ))
            return [] if method == "HEAD" else [body]

        body: RequestBody = environ["wsgi.input"]
        coding = environ.get("HTTP_TRANSFER_ENCODING", "chunked")
        if coding.lower() != "chunked":
            # The body's end is unknown, so what follows cannot be taken for a request.
            body.abandon()
            return page("501 Not Implemented", f"the transfer coding {coding!r} is not known here")
        try:
            params = cgi_params(environ, environ[REQUEST_TARGET], server_address=self.address)
        except BadRequestTarget as error:
            return page("400 Bad Request", str(error))

        name = f"{method} {params['REQUEST_URI']}"
        try:
            response = _Response(self._connect, params, body, _ErrorLog(self._on_error_log), name)
        except HttpClientGone as error:
            raise _cut(body, error) from None
        except BrokenBody as error:
            body.abandon()
            return page("400 Bad Request", str(error))
        except _NoResponse as error:
            LOGGER.error("%s: %s", printable(name), error)
            return page("502 Bad Gateway", str(error))
        try:
            write = start_response(response.status, _with_connection(response.headers, environ))
            write(b"")  # the headers at once: the body may take its time
        except BaseException:
            response.close()
            raise
        return response


class _Response:
    """The response of one request, to be iterated by pywsgi."""

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
        """Give the head and the body; what is for the error log goes there."""
        for event in self._answer:
            if isinstance(event, Stderr):
                self._errors.write(bytes(event.data))
            elif isinstance(event, EndRequest):
                self._protocol_status = event.protocol_status
            else:
                yield event

    def _log(self, reason: str) -> None:
        LOGGER.error("%s: %s", printable(self._name), reason)


class _ErrorLog:
    """FCGI_STDERR of one request, put together into lines; its records may end anywhere."""

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


def _with_connection(headers: Headers, environ: dict[str, Any]) -> Headers:
    """Have the connection closed where that is the only end of a body: pywsgi keeps it open."""
    if environ["SERVER_PROTOCOL"] == "HTTP/1.0" and not any(
        name.lower() == "content-length" for name, _ in headers
    ):
        return [*headers, ("Connection", "close")]
    return headers


def _cut(body: RequestBody, reason: object) -> ConnectionError:
    """Return what to raise to have pywsgi close the HTTP connection without the response's end.

    pywsgi is silent about this error number.
    """
    body.abandon()
    return ConnectionResetError(errno.ECONNRESET, str(reason))


def _print_to_stderr(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
