"""Of every request the HTTP front understands what h11 does, and it takes nothing h11 refuses."""

from __future__ import annotations

import re

import pytest
from application_side import hello
from judging import STRICTER, compare, understood
from judging.front import JudgedFront
from judging.generated import connections

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 0\r\nContent-Length: 37",
        b"Content-Length: 37\r\nContent-Length: 0",
        b"Content-Length: 0, 37",
        b"Content-Length: +0",
        b"Content-Length: -0",
        b"Content-Length: 0_0",
        b"Content-Length: \xb2",
        b"Content-Length : 37",
        b"Content-Length: 37\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: \x0bchunked",
        b"Transfer-Encoding : chunked",
        b"X-A: 1\r\n Content-Length: 37",
        b"X-A: 1\rContent-Length: 37",
        b"X-A: \0",
        b"X A: 1",
        b"no field",
        b"Host: y",
    ],
)
@pytest.mark.parametrize("body", [SMUGGLED, b"0\r\n\r\n" + SMUGGLED], ids=["plain", "chunked"])
def test_what_two_readers_could_frame_differently_is_refused_and_ends_the_connection(
    front_of, fields, body
):
    with front_of(hello) as front:
        answer = front.raw(b"POST / HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n\r\n" + body)
        assert front.application.requests == 0
    assert re.match(rb"HTTP/1\.1 (400|501) ", answer)
    assert answer.count(b"HTTP/1.1") == 1
    assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /", b"400"),
        (b"GET / HTTP/0.9", b"505"),
        (b"GET / HTTP/2.0", b"505"),
        (b"GET / HTTP/1.1 ", b"400"),
        (b"GET  / HTTP/1.1", b"400"),
        (b"GET\t/\tHTTP/1.1", b"400"),
        (b"GET /\xe9 HTTP/1.1", b"400"),
        (b"G(T / HTTP/1.1", b"400"),
        (b"GET / HTTP/1.11", b"400"),
        (b"GET /\0 HTTP/1.1", b"400"),
    ],
)
def test_a_request_line_that_is_none_is_refused(front_of, line, status):
    with front_of(hello) as front:
        answer = front.raw(line + b"\r\nHost: x\r\n\r\n")
        assert front.application.requests == 0
    assert answer.startswith(b"HTTP/1.1 " + status)


def test_a_head_that_is_too_long_is_refused(front_of):
    with front_of(hello) as front:
        many = front.raw(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 101 + b"\r\n")
        long = front.raw(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 65536)
        target = front.raw(b"GET /" + b"y" * 8192)
    assert many.startswith(b"HTTP/1.1 431 ")
    assert long.startswith(b"HTTP/1.1 431 ")
    assert target.startswith(b"HTTP/1.1 414 ")


def test_tls_is_refused_at_its_first_byte_and_told_why(front_of):
    with front_of(hello) as front:
        answer = front.raw(b"\x16\x03\x01")
    assert b"ask for http://" in answer


def test_the_front_takes_nothing_that_h11_refuses_and_understands_what_h11_understands():
    wrong, used, taken, refused = [], set(), 0, 0
    front = JudgedFront()
    for sent in connections():
        judged = understood(sent)
        reading = front.read(sent, judged)
        if problem := compare(sent, judged, reading, used):
            wrong.append(f"{sent[:300]!r}\n    {problem}")
        taken += len(reading.complete)
        refused += bool(reading.refused)
    front.stop()
    assert not wrong, f"{len(wrong)} differences:\n" + "\n".join(wrong[:20])
    assert taken > 700, "the set is of use only with requests that are taken"
    assert refused > 1000, "the set is of use only with requests that are refused"
    assert STRICTER.keys() == used, "a row that explains nothing is none"
