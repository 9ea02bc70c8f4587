"""What the gateway needs of a request; FastCGI and CGI each implement it."""

from __future__ import annotations

from typing import Any, Protocol

from gfcgi.printing import printable
from gfcgi.protocol.events import Bytes
from gfcgi.protocol.params import Pairs

__all__ = ["AbortEvent", "InputStream", "Request", "name_in", "name_of", "uri_in"]


class AbortEvent(Protocol):
    """Set once the Web server has given the request up (§5.4)."""

    def is_set(self) -> bool: ...


class InputStream(Protocol):
    """STDIN or DATA as it arrives."""

    @property
    def received(self) -> int:
        """How many bytes have come."""

    def read(self, most: int) -> Bytes:
        """Return 1 to ``most`` bytes, or none at the end of the stream. May wait.

        Raises: RequestAborted if the rest will never come.
        """


class Request(Protocol):
    """One request: its params, its streams, and its end."""

    role: int
    keep_conn: bool
    """Whether the Web server means to use the transport connection again (§5.1)."""
    params: dict[str, str]
    repeated: Pairs
    timed_out: bool
    """Whether the streams raise because no byte came for too long."""

    @property
    def stdin(self) -> InputStream: ...

    @property
    def data(self) -> InputStream | None:
        """A Filter's file (§6.4), else None."""

    @property
    def aborted(self) -> AbortEvent: ...

    def write(self, data: Bytes) -> None:
        """Send bytes of STDOUT. Waits while the Web server is slow. Raises: RequestAborted."""

    def write_error(self, data: Bytes) -> None:
        """Send bytes of STDERR at once. Raises: RequestAborted."""

    def send_file(self, fileno: int, offset: int, count: int) -> None:
        """Send ``count`` bytes of an open regular file. Raises: RequestAborted, OSError."""

    def give_way(self) -> None:
        """Let other requests have a turn, if this one has had a long one and sends nothing.

        Raises: RequestAborted if the Web server has given the request up.
        """

    def finish(self, data: Bytes = b"", app_status: int = 0) -> None:
        """Send the last bytes of STDOUT together with the request's end (§5.5).

        Raises: RequestAborted.
        """

    def cut(self, way: str) -> None:
        """End a response that is not whole in one of the ways of ``wsgi.webserver_quirks``.

        If other requests share the transport connection, the way is END. Raises: RequestAborted.
        """


def name_of(request: Request) -> str:
    """Return the name of a request for a log line: method and path, escaped.

    The client has chosen both.
    """
    return name_in(request.params)


def uri_in(params: dict[str, str]) -> str:
    """Return the URI as the client has sent it, else what is known of it. Not escaped."""
    query = params.get("QUERY_STRING")
    path = params.get("SCRIPT_NAME", "") + params.get("PATH_INFO", "")
    return params.get("REQUEST_URI") or (f"{path}?{query}" if query else path)


def name_in(environ: dict[str, Any]) -> str:
    """Return the same of params or an environ, into which an application may put anything."""
    method = environ.get("REQUEST_METHOD", "?")
    return printable(f"{method} {environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}")
