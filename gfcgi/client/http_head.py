"""Read the head of an HTTP/1 request, and the lines of a chunked body (RFC 9112, RFC 9110 §5).

This is strict: each side of a connection has to see the same requests on it, so what two readers
could understand differently is refused. The tests compare every answer with that of h11.

There is no socket here: ``file`` is any buffered binary file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import BinaryIO, Final

from gfcgi import limits
from gfcgi.http_fields import TOKEN, parse_length

__all__ = ["BadRequest", "Fields", "RequestHead", "read_chunk_size", "read_head", "read_trailers"]

Fields = tuple[tuple[str, str], ...]

REQUEST_LINE: Final = re.compile(rf"({TOKEN}) ([!-~]+) HTTP/([0-9])\.([0-9])")
FIELD: Final = re.compile(rf"({TOKEN}):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
CHUNK_SIZE: Final = re.compile(
    rb"([0-9A-Fa-f]{1,16})(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?[ \t]*\r\n"  # 16: it fits into 64 bits
)
FRAMING: Final = frozenset({"content-length", "transfer-encoding"})
"""Fields that say where a message ends. They cannot come after it (RFC 9110 §6.5.1)."""


class BadRequest(ValueError):
    """What the client sent is no request that can be answered. The text says why.

    ``status`` is that of the answer; ``request_line`` is the beginning of the message, where there
    is one.
    """

    def __init__(
        self, reason: str, *, status: str = "400 Bad Request", request_line: str = ""
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.request_line = request_line


@dataclass(frozen=True, slots=True)
class RequestHead:
    """Request line and header fields. All texts are latin-1 str, as they came.

    ``content_length`` is None where the request has none; it has no body then, unless ``chunked``.
    """

    method: str
    target: str
    minor_version: int
    fields: Fields
    content_length: int | None
    chunked: bool

    @property
    def protocol(self) -> str:
        """The version of HTTP, as SERVER_PROTOCOL has it."""
        return f"HTTP/1.{self.minor_version}"

    @property
    def persistent(self) -> bool:
        """Whether another request may follow on the connection (RFC 9112 §9.3).

        Not after HTTP/1.0, whose keep-alive no two sides understood alike (RFC 9112 C.2.2).
        """
        return self.minor_version > 0 and "close" not in self._list("connection")

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for an interim answer before it sends its body."""
        return self.minor_version > 0 and "100-continue" in self._list("expect")

    def _list(self, name: str) -> list[str]:
        return [
            part.strip(" \t").lower()
            for key, value in self.fields
            if key.lower() == name
            for part in value.split(",")
        ]


def read_head(file: BinaryIO) -> RequestHead | None:
    """Read the head of the next request; None if the connection ends instead.

    A line may end with a line feed alone, as RFC 9112 §2.2 allows.

    Raises: BadRequest; EOFError if the connection ends within the head.
    """
    line = _request_line(file)
    if line == b"\r\n":  # one empty line is ignored (RFC 9112 §2.2)
        line = _request_line(file)
    if not line:
        return None
    try:
        return _read_head(file, line)
    except BadRequest as error:
        error.request_line = _text(line)
        raise


def _request_line(file: BinaryIO) -> bytes:
    first = file.read(1)
    if first == b"\x16":
        raise BadRequest("this is the beginning of TLS: ask for http:// and not for https://")
    if first > b"\x7e" or (first < b"\x21" and first not in b"\r\n"):
        # Without waiting for the rest: it may be another protocol, in which no line ends.
        raise BadRequest(
            "the request line is not METHOD TARGET HTTP/1.1", request_line=first.decode("latin-1")
        )
    return first + file.readline(limits.HTTP_REQUEST_LINE_BYTES - 1) if first else b""


def _read_head(file: BinaryIO, line: bytes) -> RequestHead:
    if not line.endswith(b"\n"):
        if len(line) < limits.HTTP_REQUEST_LINE_BYTES:
            raise EOFError("the connection ended within the request line")
        raise BadRequest(
            f"the request line has more than {limits.HTTP_REQUEST_LINE_BYTES} bytes",
            status="414 URI Too Long",
        )
    match = REQUEST_LINE.fullmatch(_text(line))
    if match is None:
        raise BadRequest("the request line is not METHOD TARGET HTTP/1.1")
    method, target, major, minor = match.groups()
    if major != "1":
        raise BadRequest(
            f"HTTP/{major}.{minor} is not spoken here", status="505 HTTP Version Not Supported"
        )
    fields = _read_fields(file, limits.HTTP_HEAD_BYTES - len(line))
    minor_version = int(minor)
    hosts = sum(name.lower() == "host" for name, _ in fields)
    if hosts > 1:
        raise BadRequest("the request has more than one Host")
    if not hosts and minor_version > 0:
        raise BadRequest("the request has no Host")
    content_length, chunked = _framing(fields, minor_version)
    return RequestHead(method, target, minor_version, fields, content_length, chunked)


def _framing(fields: Fields, minor_version: int) -> tuple[int | None, bool]:
    """Return the Content-Length, and whether the body is chunked (RFC 9112 §6.3)."""
    lengths = [value for name, value in fields if name.lower() == "content-length"]
    codings = [value for name, value in fields if name.lower() == "transfer-encoding"]
    if codings:
        if lengths:
            raise BadRequest("the request has both a Transfer-Encoding and a Content-Length")
        if minor_version == 0:
            raise BadRequest("HTTP/1.0 has no Transfer-Encoding")
        if len(codings) > 1 or codings[0].lower() != "chunked":
            raise BadRequest(
                f"the transfer coding {', '.join(codings)!r} is not known here",
                status="501 Not Implemented",
            )
        return None, True
    if not lengths:
        return None, False
    if len(lengths) > 1:
        raise BadRequest("the request has more than one Content-Length")
    length = parse_length(lengths[0])
    if length is None:
        raise BadRequest(f"the Content-Length is {lengths[0]!r}")
    return length, False


def _read_fields(file: BinaryIO, max_bytes: int) -> Fields:
    """Read field lines up to the empty line behind them.

    Raises: BadRequest; EOFError.
    """
    fields: list[tuple[str, str]] = []
    left = max_bytes
    while True:
        line = file.readline(left + 1)
        left -= len(line)
        if left < 0 or len(fields) > limits.HTTP_FIELDS:
            raise BadRequest(
                f"the header has more than {limits.HTTP_HEAD_BYTES} bytes or"
                f" {limits.HTTP_FIELDS} fields",
                status="431 Request Header Fields Too Large",
            )
        if not line.endswith(b"\n"):
            raise EOFError("the connection ended within the header")
        text = _text(line)
        if not text:
            return tuple(fields)
        match = FIELD.fullmatch(text)
        if match is None:
            raise BadRequest(f"not a header line: {_shown(text)}")
        fields.append((match[1], match[2].rstrip(" \t")))


def read_chunk_size(file: BinaryIO) -> int:
    """Read the line before a chunk: its size in bytes, 0 for the last one (RFC 9112 §7.1).

    Extensions are ignored. Raises: BadRequest; EOFError.
    """
    line = file.readline(limits.HTTP_CHUNK_LINE_BYTES)
    match = CHUNK_SIZE.fullmatch(line)
    if match is None:
        if not line.endswith(b"\n") and len(line) < limits.HTTP_CHUNK_LINE_BYTES:
            raise EOFError("the connection ended within a chunk's size")
        raise BadRequest(f"not the size of a chunk: {_shown(line.decode('latin-1'))}")
    return int(match[1], 16)


def read_trailers(file: BinaryIO) -> None:
    """Read what follows the last chunk, and drop it (RFC 9112 §7.1.2).

    Raises: BadRequest; EOFError.
    """
    for name, _ in _read_fields(file, limits.HTTP_HEAD_BYTES):
        if name.lower() in FRAMING:
            raise BadRequest(f"{name} comes after the body")


def _text(line: bytes) -> str:
    return line.removesuffix(b"\n").removesuffix(b"\r").decode("latin-1")


def _shown(text: str) -> str:
    return repr(text[:80]) + ("…" if len(text) > 80 else "")
