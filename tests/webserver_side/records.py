"""Records and name-value pairs (FastCGI 1.0 §3.3 and §3.4), built unchecked and split strictly."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

VERSION_1 = 1
HEADER_LEN = 8
MAX_CONTENT = 65535

# §8, record types.
BEGIN_REQUEST = 1
ABORT_REQUEST = 2
END_REQUEST = 3
PARAMS = 4
STDIN = 5
STDOUT = 6
STDERR = 7
DATA = 8
GET_VALUES = 9
GET_VALUES_RESULT = 10
UNKNOWN_TYPE = 11

# §8, roles, the one flag and the protocol statuses.
RESPONDER = 1
AUTHORIZER = 2
FILTER = 3
KEEP_CONN = 1
REQUEST_COMPLETE = 0
CANT_MPX_CONN = 1
OVERLOADED = 2
UNKNOWN_ROLE = 3

Pairs = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]


class WireError(Exception):
    """The application sent bytes that FastCGI 1.0 does not allow."""


def record(
    record_type: int,
    request_id: int,
    content: bytes = b"",
    *,
    padding: int = 0,
    version: int = VERSION_1,
    reserved: int = 0,
) -> bytes:
    """One record (§3.3): header, content, and ``padding`` bytes of 0xEE, which must be ignored."""
    header = struct.pack(
        ">BBHHBB", version, record_type, request_id, len(content), padding, reserved
    )
    return header + content + b"\xee" * padding


def begin_request(
    request_id: int, role: int = RESPONDER, *, keep_conn: bool = False, flags: int | None = None
) -> bytes:
    """BEGIN_REQUEST (§5.1); ``flags`` overrides ``keep_conn`` with any byte."""
    byte = (KEEP_CONN if keep_conn else 0) if flags is None else flags
    return record(BEGIN_REQUEST, request_id, struct.pack(">HB5x", role, byte))


def abort_request(request_id: int) -> bytes:
    """ABORT_REQUEST (§5.4)."""
    return record(ABORT_REQUEST, request_id)


def length(value: int, *, four: bool = False) -> bytes:
    """A name or value length (§3.4): one byte up to 127, else or with ``four`` four."""
    if value > 127 or four:
        return struct.pack(">I", value | 0x80000000)
    return bytes([value])


def pairs(values: Pairs, *, four: bool = False) -> bytes:
    """Name-value pairs (§3.4) end to end; str is sent as UTF-8, bytes as they are.

    ``four`` writes every length in its four-byte form, which is allowed for any length.
    """
    items = values.items() if isinstance(values, Mapping) else values
    out = bytearray()
    for name, value in items:
        n, v = _bytes(name), _bytes(value)
        out += length(len(n), four=four) + length(len(v), four=four) + n + v
    return bytes(out)


def stream(
    record_type: int,
    request_id: int,
    content: bytes,
    *,
    chunk: int = MAX_CONTENT,
    end: bool = True,
    padding: int = 0,
) -> bytes:
    """A stream (§3.3) as records of at most ``chunk`` bytes; ``end`` adds the empty one."""
    parts = [
        record(record_type, request_id, content[at : at + chunk], padding=padding)
        for at in range(0, len(content), chunk)
    ]
    if end:
        parts.append(record(record_type, request_id))
    return b"".join(parts)


def params(
    request_id: int,
    values: Pairs,
    *,
    chunk: int = MAX_CONTENT,
    end: bool = True,
    four: bool = False,
    padding: int = 0,
) -> bytes:
    """The PARAMS stream (§5.2); a small ``chunk`` splits pairs and even their lengths."""
    return stream(
        PARAMS, request_id, pairs(values, four=four), chunk=chunk, end=end, padding=padding
    )


def stdin(
    request_id: int, content: bytes, *, chunk: int = MAX_CONTENT, end: bool = True, padding: int = 0
) -> bytes:
    """The STDIN stream (§5.3)."""
    return stream(STDIN, request_id, content, chunk=chunk, end=end, padding=padding)


def data(
    request_id: int, content: bytes, *, chunk: int = MAX_CONTENT, end: bool = True, padding: int = 0
) -> bytes:
    """The DATA stream of a Filter (§6.4)."""
    return stream(DATA, request_id, content, chunk=chunk, end=end, padding=padding)


def get_values(*names: str) -> bytes:
    """GET_VALUES (§4.1), a management record (request id 0) asking for ``names``."""
    return record(GET_VALUES, 0, pairs([(name, "") for name in names]))


def cgi_params(
    method: str = "GET",
    path: str = "/",
    query: str = "",
    body: bytes = b"",
    **extra: str,
) -> dict[str, str]:
    """The params that a Web server sends for a plain request, ready to be changed by a test."""
    values = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": "tests",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REQUEST_URI": path + ("?" + query if query else ""),
    }
    if body or method in ("POST", "PUT"):
        values["CONTENT_LENGTH"] = str(len(body))
    values.update(extra)
    return values


def request(
    request_id: int,
    values: Pairs,
    body: bytes = b"",
    *,
    role: int = RESPONDER,
    keep_conn: bool = False,
    filter_data: bytes | None = None,
) -> bytes:
    """A whole request: BEGIN_REQUEST, PARAMS, STDIN and, where ``filter_data`` is given, DATA."""
    out = begin_request(request_id, role, keep_conn=keep_conn)
    out += params(request_id, values) + stdin(request_id, body)
    if filter_data is not None:
        out += data(request_id, filter_data)
    return out


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


@dataclass(frozen=True)
class Record:
    """One record as it arrived (§3.3)."""

    type: int
    request_id: int
    content: bytes
    padding: int = 0
    reserved: int = 0


def parse_pairs(content: bytes) -> list[tuple[bytes, bytes]]:
    """Read name-value pairs (§3.4). Raises WireError on a length beyond the end."""
    found: list[tuple[bytes, bytes]] = []
    at = 0

    def take_length() -> int:
        nonlocal at
        try:
            if content[at] < 128:
                at += 1
                return content[at - 1]
            value: int = struct.unpack_from(">I", content, at)[0]
        except (IndexError, struct.error):
            raise WireError(f"pairs cut short in a length: {content!r}") from None
        at += 4
        return value & 0x7FFFFFFF

    while at < len(content):
        name_length, value_length = take_length(), take_length()
        if at + name_length + value_length > len(content):
            raise WireError(f"pairs cut short in a name or value: {content!r}")
        found.append(
            (
                content[at : at + name_length],
                content[at + name_length : at + name_length + value_length],
            )
        )
        at += name_length + value_length
    return found


def parse_records(data: bytes) -> tuple[list[Record], bytes]:
    """Split bytes into whole records and what is left over."""
    found = []
    at = 0
    while len(data) - at >= HEADER_LEN:
        version, kind, request_id, size, padding, reserved = struct.unpack_from(">BBHHBB", data, at)
        if version != VERSION_1:
            raise WireError(f"record of version {version}: {data[at : at + 16]!r}")
        if len(data) - at < HEADER_LEN + size + padding:
            break
        content = data[at + HEADER_LEN : at + HEADER_LEN + size]
        found.append(Record(kind, request_id, content, padding, reserved))
        at += HEADER_LEN + size + padding
    return found, data[at:]
