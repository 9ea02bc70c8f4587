"""What the gateway asks of whoever carries a request: a FastCGI transport connection, or CGI."""

from __future__ import annotations

from typing import Any, Protocol

from gfcgi.printing import printable
from gfcgi.protocol.events import Bytes
from gfcgi.protocol.params import Pairs

__all__ = ["AbortEvent", "InputStream", "Request", "name_of"]


class AbortEvent(Protocol):
    """Set once the Web server has given the request up (§5.4)."""

    def is_set(self) -> bool: ...


class InputStream(Protocol):
    """STDIN or DATA as it arrives."""

    def read(self, most: int) -> Bytes:
        """Return 1 to ``most`` bytes, waiting for them; empty at the stream's end.

        Raises: RequestAborted if the rest will never come.
        """


class Request(Protocol):
    """One request: its params, its streams, and its end."""

    role: int
    params: dict[str, str]
    repeated: Pairs
    timed_out: bool
    """Whether the streams fail because nothing came for too long."""

    @property
    def stdin(self) -> InputStream: ...

    @property
    def data(self) -> InputStream | None:
        """A Filter's file (§6.4), else None."""

    @property
    def aborted(self) -> AbortEvent: ...

    def write(self, data: Bytes) -> None:
        """Send bytes of STDOUT, waiting for a slow Web server.

        Raises: RequestAborted.
        """

    def write_error(self, data: Bytes) -> None:
        """Send bytes of STDERR at once. Raises: RequestAborted."""

    def send_file(self, fileno: int, offset: int, count: int) -> None:
        """Send ``count`` bytes of an open regular file. Raises: RequestAborted, OSError."""

    def finish(self, data: Bytes = b"", app_status: int = 0) -> None:
        """Send the last bytes of STDOUT together with the request's end (§5.5).

        Raises: RequestAborted.
        """


def name_of(request: Request) -> str:
    """Name a request in a log line: its method and path, which the client has chosen."""
    params: dict[str, Any] = request.params  # the environ: an application may have put in anything
    method = params.get("REQUEST_METHOD", "?")
    return printable(f"{method} {params.get('SCRIPT_NAME', '')}{params.get('PATH_INFO', '')}")
