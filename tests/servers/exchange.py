"""The HTTP client's side: raw request targets, bodies in any form, half-read answers."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

DEADLINE_SECONDS = 60.0


@dataclass(frozen=True)
class Reply:
    """One HTTP response, whole."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first value of a header, any case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def header_values(self, name: str) -> list[str]:
        """Every value of a header, any case, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def json(self) -> Any:
        """The body as JSON; the status must be 200."""
        assert self.status == 200, (self.status, self.body[:500])
        return json.loads(self.body)


@final
class HTTPClient:
    """One HTTP connection; every wait has a deadline. The target goes out as it is given."""

    def __init__(self, port: int, deadline: float = DEADLINE_SECONDS) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=deadline)

    def __enter__(self) -> HTTPClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.connection.close()

    def send(
        self,
        method: str,
        target: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send one request; an iterable body goes out chunked."""
        chunked = body is not None and not isinstance(body, bytes)
        values = dict(headers or {})
        if chunked:
            values["Transfer-Encoding"] = "chunked"
        self.connection.request(method, target, body, values, encode_chunked=chunked)

    def response(self) -> http.client.HTTPResponse:
        """The response's head; its body is read from it."""
        return self.connection.getresponse()

    def reply(self) -> Reply:
        """The whole response."""
        response = self.response()
        return Reply(response.status, response.getheaders(), response.read())

    def request(
        self,
        method: str,
        target: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One whole exchange; the connection is kept where both sides allow it."""
        try:
            self.send(method, target, body, headers)
        except (BrokenPipeError, ConnectionResetError):
            pass  # a Web server may refuse a body before it has all of it; its answer says so
        return self.reply()


def raw_socket(port: int, deadline: float = DEADLINE_SECONDS) -> socket.socket:
    """A plain TCP connection to the Web server."""
    return socket.create_connection(("127.0.0.1", port), timeout=deadline)


def raw_request(port: int, data: bytes) -> bytes:
    """Send bytes, return everything that comes until the Web server closes."""
    with raw_socket(port) as connection:
        connection.sendall(data)
        received = bytearray()
        while block := connection.recv(65536):
            received += block
        return bytes(received)
