"""The bytes of the loads. They are prepared before anything is measured.

This file is written from the specification and shares no code with gfcgi. The params are the 23 of
a real nginx, from a capture of the test suite, and two header fields that every browser sends.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "BODY_RECORD_BYTES",
    "END_REQUEST",
    "HEADER",
    "Answer",
    "Shape",
    "ask",
    "captured_params",
    "connect",
    "encode_head",
    "is_whole",
    "prepare",
]

CAPTURE = Path(__file__).parent.parent / "tests/corpus/captures/nginx-keepalive/get_qmark.bin"
BROWSER = (
    (b"HTTP_USER_AGENT", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (b"HTTP_ACCEPT", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
)

BEGIN_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6
HEADER = struct.Struct(">BBHHBx")
BODY_RECORD_BYTES = 65528
"""The content of a STDIN record; with its header it is 64 KB."""

Params = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Shape:
    """How a request differs from that of a browser."""

    keep: bool = True
    cookie_bytes: int = 0
    body_bytes: int = 0


@dataclass(frozen=True)
class Answer:
    """A whole answer: its bytes on the wire, and the CGI or HTTP response in it."""

    wire: bytes
    response: bytes

    @property
    def body(self) -> bytes:
        return self.response.partition(b"\r\n\r\n")[2]

    @property
    def status(self) -> str:
        """Such as "200", which is also CGI's default."""
        for line in self.response.partition(b"\r\n\r\n")[0].split(b"\r\n"):
            name, _, value = line.partition(b" ")
            if name.lower() == b"status:" or name.startswith(b"HTTP/"):
                return value[:3].decode("latin-1")
        return "200"


def prepare(protocol: str, shape: Shape, *, request_id: int = 1) -> tuple[bytes, bytes]:
    """Return the bytes of a request before its body, and those of the body and its end."""
    params = _params(shape)
    body = b"b" * shape.body_bytes
    if protocol == "http":
        return _http_head(params, keep=shape.keep), body
    head = encode_head(params, keep=shape.keep, request_id=request_id)
    stdin = [
        _record(STDIN, request_id, body[start : start + BODY_RECORD_BYTES])
        for start in range(0, len(body), BODY_RECORD_BYTES)
    ]
    return head, b"".join(stdin) + _record(STDIN, request_id, b"")


def encode_head(params: Params, *, keep: bool, request_id: int = 1) -> bytes:
    """Return BEGIN_REQUEST for a Responder, and the whole PARAMS stream."""
    begin = struct.pack(">HB5x", 1, int(keep))
    block = b"".join(_length(name) + _length(value) + name + value for name, value in params)
    head = _record(BEGIN_REQUEST, request_id, begin)
    return head + _record(PARAMS, request_id, block) + _record(PARAMS, request_id, b"")


def _record(record_type: int, request_id: int, content: bytes) -> bytes:
    padding = -len(content) & 7
    header = HEADER.pack(1, record_type, request_id, len(content), padding)
    return header + content + bytes(padding)


def _length(text: bytes) -> bytes:
    return bytes([len(text)]) if len(text) < 128 else struct.pack(">I", len(text) | 1 << 31)


def _params(shape: Shape) -> Params:
    params = [*captured_params(), *BROWSER]
    if shape.cookie_bytes:
        cookie = b"session=" + b"c" * (shape.cookie_bytes - 8)
        params.append((b"HTTP_COOKIE", cookie))
    if shape.body_bytes:
        of_body = {
            b"REQUEST_METHOD": b"POST",
            b"CONTENT_TYPE": b"application/octet-stream",
            b"CONTENT_LENGTH": str(shape.body_bytes).encode(),
        }
        params = [(name, of_body.get(name, value)) for name, value in params]
    return params


def captured_params() -> Iterator[tuple[bytes, bytes]]:
    """Yield the params of the captured request, in their order."""
    captured = CAPTURE.read_bytes()
    block = b""
    offset = 0
    while offset < len(captured):
        _, record_type, _, length, padding = HEADER.unpack_from(captured, offset)
        offset += HEADER.size
        if record_type == PARAMS:
            block += captured[offset : offset + length]
        offset += length + padding
    offset = 0
    while offset < len(block):
        lengths = []
        for _ in range(2):
            length = block[offset]
            if length >= 128:
                length = struct.unpack_from(">I", block, offset)[0] & 0x7FFFFFFF
                offset += 3
            offset += 1
            lengths.append(length)
        middle = offset + lengths[0]
        end = middle + lengths[1]
        yield block[offset:middle], block[middle:end]
        offset = end


def _http_head(params: Params, *, keep: bool) -> bytes:
    """Return the same request for an HTTP server, with the same fields."""
    values = dict(params)
    lines = [b"%s %s HTTP/1.1" % (values[b"REQUEST_METHOD"], values[b"REQUEST_URI"])]
    for name, value in params:
        if name.startswith(b"HTTP_") and name != b"HTTP_CONNECTION":
            lines.append(b"%s: %s" % (name[5:].replace(b"_", b"-").title(), value))
    lines += [
        b"%s: %s" % (name.replace(b"_", b"-").title(), values[name])
        for name in (b"CONTENT_TYPE", b"CONTENT_LENGTH")
        if values[name]
    ]
    if not keep:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n"


def connect(address: str, timeout: float) -> socket.socket:
    """Connect to a UNIX socket; waits while its backlog is full. ``timeout`` bounds every wait."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        limit = struct.pack("ll", int(timeout), int(timeout % 1 * 1e6))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def ask(address: str, protocol: str, request: bytes, *, timeout: float) -> Answer:
    """Send one request on a connection of its own and read the whole answer.

    Raises: OSError; EOFError if the answer breaks off.
    """
    with connect(address, timeout) as sock:
        sock.sendall(request)
        data = b""
        while (answer := is_whole(protocol, data)) is None:
            received = sock.recv(1 << 20)
            if not received:
                raise EOFError(f"the answer broke off after {len(data)} bytes")
            data += received
        return answer


def is_whole(protocol: str, data: bytes) -> Answer | None:
    """Return ``data`` as one answer; None if it is not whole."""
    if protocol == "http":
        head, end, body = data.partition(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if end and name.lower() == b"content-length" and len(body) == int(value):
                return Answer(data, data)
        return None
    offset = 0
    response = b""
    while len(data) - offset >= HEADER.size:
        _, record_type, _, length, padding = HEADER.unpack_from(data, offset)
        offset += HEADER.size
        if record_type == STDOUT:
            response += data[offset : offset + length]
        offset += length + padding
        if record_type == END_REQUEST and offset <= len(data):
            return Answer(data, response)
    return None
