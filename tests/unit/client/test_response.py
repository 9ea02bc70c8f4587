"""The header block of a response: what it says, wherever it is cut, and what it may not be."""

from __future__ import annotations

import pytest

from gfcgi.client.response import MAX_HEADER_BLOCK_BYTES, HeaderBlock, ResponseHead
from gfcgi.errors import Fatal, RemoteProtocolError


def parse(data: bytes) -> ResponseHead:
    head = HeaderBlock(7).receive(data)
    assert head is not None
    return head


def test_status_headers_and_the_first_of_the_body_are_told_apart():
    block = HeaderBlock()
    head = block.receive(b"Content-Type: text/plain\r\nStatus: 201 Made\r\n\r\n\nbody\r\n\r\n")
    assert head == ResponseHead(201, "Made", (("Content-Type", "text/plain"),))
    assert block.rest == b"\nbody\r\n\r\n"


@pytest.mark.parametrize("end_of_line", [b"\r\n", b"\n"])
def test_the_block_may_come_byte_by_byte(end_of_line):
    whole = end_of_line.join([b"Status: 404 Not Found", b"X-A: 1", b"", b""])
    block = HeaderBlock()
    assert not block.started
    for byte in whole[:-1]:
        assert block.receive(bytes([byte])) is None
        assert block.started
    assert block.receive(whole[-1:]) == ResponseHead(404, "Not Found", (("X-A", "1"),))
    assert block.rest == b""


def test_repeated_headers_stay_in_their_order():
    head = parse(b"Set-Cookie: a=1\nX: y\nset-cookie: b=2\n\n")
    assert head.headers == (("Set-Cookie", "a=1"), ("X", "y"), ("set-cookie", "b=2"))
    assert head.get("SET-COOKIE") == "a=1"
    assert head.get("Cookie") is None


def test_header_values_are_latin_1_without_the_space_around_them():
    assert parse(b"X: \t caf\xe9 \t\n\n").headers == (("X", "caf\xe9"),)


@pytest.mark.parametrize(
    ("block", "status", "reason"),
    [
        (b"Content-Type: text/html\n\n", 200, "OK"),
        (b"Location: http://example.org/\n\n", 302, "Found"),
        (b"Location: /path\n\n", 302, "Found"),
        (b"Status: 201 Created\nLocation: /path\n\n", 201, "Created"),
        (b"Status: 418\n\n", 418, "I'm a Teapot"),
        (b"Status: 299\n\n", 299, "Unknown"),
        (b"status: 503 Later, please\n\n", 503, "Later, please"),
    ],
)
def test_the_status_is_what_the_block_says_or_implies(block, status, reason):
    head = parse(block)
    assert head.status == status
    assert head.reason.casefold() == reason.casefold()


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (b"\r\nbody", "empty line"),
        (b"\nbody", "empty line"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "not a header line"),
        (b"Traceback (most recent call last)\n\n", "not a header line"),
        (b"X: a\n folded\n\n", "not a header line"),
        (b": nameless\n\n", "not a header line"),
        (b"Sp ace: x\n\n", "not a header line"),
        (b"X: a\0b\n\n", "control character"),
        (b"X: a\rY: b\n\n", "control character"),
        (b"Status: OK\n\n", "Status"),
        (b"Status: 2000\n\n", "Status"),
        (b"Status:\n\n", "Status"),
        (b"Status: 103 Early Hints\n\n", "interim"),
        (b"Status: 200\nStatus: 200\n\n", "Status twice"),
        (b"Content-Length: 1\ncontent-length: 1\n\n", "content-length twice"),
        (b"Content-Length: -1\n\n", "Content-Length"),
        (b"Content-Length: 1, 1\n\n", "Content-Length"),
        (b"Content-Length:\n\n", "Content-Length"),
    ],
)
def test_what_is_no_header_block_ends_the_request(block, words):
    with pytest.raises(RemoteProtocolError, match=words) as caught:
        parse(block)
    assert caught.value.fatal is Fatal.REQUEST
    assert caught.value.request_id == 7
    assert caught.value.section == "6.2"


def test_a_long_wrong_line_is_not_quoted_whole():
    with pytest.raises(RemoteProtocolError) as caught:
        parse(b"x" * 10_000 + b"\n\n")
    assert len(str(caught.value)) < 300


def test_a_block_without_an_end_is_given_up_at_the_bound():
    block = HeaderBlock()
    line = b"X: " + b"y" * 1020 + b"\n"
    for _ in range(MAX_HEADER_BLOCK_BYTES // len(line)):
        assert block.receive(line) is None
    with pytest.raises(RemoteProtocolError, match="no end"):
        block.receive(line)


def test_the_bound_counts_the_block_and_not_the_body_behind_it():
    fits = b"X: " + b"y" * (MAX_HEADER_BLOCK_BYTES - 5) + b"\n\n"
    assert len(fits) == MAX_HEADER_BLOCK_BYTES
    block = HeaderBlock()
    assert block.receive(fits + b"z" * MAX_HEADER_BLOCK_BYTES) is not None
    assert len(block.rest) == MAX_HEADER_BLOCK_BYTES
    with pytest.raises(RemoteProtocolError, match="no end"):
        HeaderBlock().receive(b"X" + fits)
