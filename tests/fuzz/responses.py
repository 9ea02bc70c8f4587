"""Response heads: what the application may say, how it is written, and how the client reads it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gfcgi.client.response import HeaderBlock, ResponseHead
from gfcgi.errors import RemoteProtocolError
from gfcgi.wsgi.headers import (
    HeaderError,
    check_headers,
    check_status,
    encode_head,
    find_content_length,
    find_header,
    replace_content_length,
)

from .harness import Harness, cuts

__all__ = ["HEADERS", "RESPONSE_HEAD"]


def check_headers_of(data: bytes) -> None:
    """The first line is the status, each further one a header; \\x1e stands for a line feed."""
    status, *lines = data.decode("utf-8", "surrogateescape").split("\n")
    given = [tuple(line.replace("\x1e", "\n").partition(":")[::2]) for line in lines]
    try:
        said = check_status(status.replace("\x1e", "\n"))
        headers = check_headers(given)
        length = find_content_length(headers)
        block = encode_head(said, headers, None)
    except HeaderError:
        return
    assert headers is not given
    assert find_header(headers, "content-length") == (None if length is None else find_raw(headers))
    # One line for each header and one for the status, whatever a header holds.
    assert re.fullmatch(rb"(?:[^\r\n\0]+\r\n)+\r\n", block)
    assert block.count(b"\r\n") == len(headers) + 2
    read = _read([block + b"body"])
    if isinstance(read, str):
        # What the client, which is as strict as the strictest Web server, does not take.
        assert " twice" in read or "has a control" in read, read
        return
    head, rest = read
    assert rest == b"body"
    assert head.status == int(said[:3])
    assert list(head.headers) == [(name, value.strip(" \t")) for name, value in headers]
    if length is not None:
        longer = replace_content_length(headers, length + 1)
        assert find_content_length(longer) == length + 1
        assert find_content_length(replace_content_length(headers, None)) is None
    assert encode_head(said, headers, None, status_first=True).startswith(b"Status: ")


def find_raw(headers: list[tuple[str, str]]) -> str:
    return next(value for name, value in headers if name.lower() == "content-length")


def check_response_head(data: bytes) -> None:
    """However it is cut, the client reads the same head, and the same bytes follow it."""
    expected = _read([data])
    for pieces in cuts(data):
        assert _read(pieces) == expected
    if isinstance(expected, tuple):
        head, _ = expected
        assert 200 <= head.status <= 999
        assert not any(re.search("[\x00-\x08\x0a-\x1f\x7f]", value) for _, value in head.headers)


def _read(pieces: Iterable[bytes]) -> tuple[ResponseHead, bytes] | str | None:
    """The head and what follows it; the error's text; or None for a head that has not ended."""
    block = HeaderBlock()
    head, rest = None, b""
    try:
        for piece in pieces:
            if head is not None:
                rest += piece
            else:
                head = block.receive(piece)
                rest = block.rest
    except RemoteProtocolError as error:
        return error.reason
    return None if head is None else (head, rest)


_STATUSES = [b"200 OK", b"404", b"999 x y", b"304 Not Modified"]
_LINES = [b"Content-Type: text/plain", b"Content-Length: 4", b"Location: /there", b"X-A: caf\xe9"]

HEADERS = Harness(
    "headers",
    check_headers_of,
    lambda: [b"\n".join([status, *_LINES]) for status in _STATUSES],
    (b"\n", b"\x1e", b"\r", b"\0", b"Set-Cookie: a=1", b"Status: 200", b"Connection: close", b":"),
)
RESPONSE_HEAD = Harness(
    "response-head",
    check_response_head,
    lambda: [
        b"Status: 200 OK\r\nContent-Type: text/plain\r\n\r\nbody",
        b"Content-Type: text/plain\n\nbody",
        b"Location: /there\r\n\r\n",
        b"Status: 404\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 3\r\n\r\nabc\n\n",
    ],
    (b"\r\n", b"\n", b"\n\r\n", b"Status: 200 OK\r\n", b"Content-Length: 4\r\n", b"\0", b": "),
)
