"""Both sides of the protocol core: whole and cut, the same events, and no error of another kind."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import webserver_side as wire
from replay import Transcript, captures, replay, scripts, whole

from gfcgi.errors import LimitExceeded, RemoteProtocolError
from gfcgi.options import Options
from gfcgi.protocol import (
    NEED_DATA,
    ApplicationConnection,
    BeginRequest,
    GetValues,
    GetValuesResult,
    WebServerConnection,
    decode_pairs,
    decode_params,
)
from gfcgi.server.get_values import values_of

from .harness import Harness, cuts

__all__ = [
    "APPLICATION",
    "GET_VALUES",
    "PAIRS",
    "SMALL_BOUNDS",
    "WEBSERVER",
    "application_events",
    "check_pairs",
    "webserver_events",
]

SMALL_BOUNDS = {"max_params_bytes": 40, "max_params_pairs": 3, "max_concurrent_requests": 2}

Events = list[tuple[object, ...]]


def application_events(pieces: Iterable[bytes], **bounds: int) -> Events:
    """What the application's core gives for these pieces and the end after them."""
    return Transcript(ApplicationConnection(**bounds)).feed(pieces).eof().events


def webserver_events(pieces: Iterable[bytes]) -> Events:
    """What the Web server's core gives, which has begun the requests 1, 2 and 65535."""
    core = WebServerConnection()
    for request_id in (1, 2, 65535):
        core.send(BeginRequest(request_id, 1, True, {}))
    return Transcript(core).feed(pieces).eof().events


def check_application(content: bytes) -> None:
    for answering in (False, True):
        expected = replay(whole(content), answering=answering)
        for pieces in cuts(content):
            assert replay(pieces, answering=answering) == expected
    bounded = application_events(whole(content), **SMALL_BOUNDS)
    for pieces in cuts(content):
        assert application_events(pieces, **SMALL_BOUNDS) == bounded


def check_webserver(content: bytes) -> None:
    expected = webserver_events(whole(content))
    for pieces in cuts(content):
        assert webserver_events(pieces) == expected


def check_pairs(block: bytes) -> None:
    """Any block is decoded as the tests' own reading of §3.4 does, or refused by both."""
    try:
        expected = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in wire.parse_pairs(block)]
    except wire.WireError:
        for decode in (decode_pairs, decode_params):
            try:
                decoded = decode(block)
            except RemoteProtocolError:
                continue
            raise AssertionError(f"{decode.__name__} took what is none: {decoded}") from None
        return
    assert list(decode_pairs(block)) == expected
    params, repeated = decode_params(block, max_pairs=len(expected))
    assert sorted([*params.items(), *repeated]) == sorted(expected)
    if expected:
        try:
            decode_params(block, max_pairs=len(expected) - 1)
        except LimitExceeded:
            return
        raise AssertionError("the bound on pairs was not kept")


def check_get_values(content: bytes) -> None:
    """The names of GET_VALUES come back with values, those that exist, as the Web server reads."""
    application, webserver = ApplicationConnection(), WebServerConnection()
    application.receive_data(wire.record(wire.GET_VALUES, 0, content[:65535]))
    try:
        event = application.next_event()
    except RemoteProtocolError:
        return
    assert isinstance(event, GetValues)
    values = values_of(Options(), event.names)
    assert all(value.isdigit() for value in values.values())
    webserver.receive_data(b"".join(application.send(GetValuesResult(values))))
    assert webserver.next_event() == GetValuesResult(values)
    assert webserver.next_event() is NEED_DATA


def _requests() -> list[bytes]:
    """What Web servers send, and what they should not, from the corpus of records."""
    return [capture.content for capture in captures() if capture.facts["bytes"] < 4000] + [
        script.content for script in scripts() if len(script.content) < 4000
    ]


def _responses() -> list[bytes]:
    head = b"Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n"
    end = wire.record(wire.END_REQUEST, 1, struct.pack(">IB3x", 0, 0))
    one = wire.record(wire.STDOUT, 1, head + b"hello") + wire.record(wire.STDOUT, 1) + end
    return [
        one,
        wire.record(wire.STDERR, 1, b"text\n", padding=3) + wire.record(wire.STDERR, 1) + one,
        wire.record(wire.STDOUT, 2, b"x" * 300) + one,
        wire.record(wire.GET_VALUES_RESULT, 0, wire.pairs([(b"FCGI_MPXS_CONNS", b"1")])),
        wire.record(wire.UNKNOWN_TYPE, 0, bytes([42]) + bytes(7)),
        wire.record(wire.END_REQUEST, 65535, struct.pack(">IB3x", 1, 3)),
    ]


def _blocks() -> list[bytes]:
    pairs = [(b"REQUEST_METHOD", b"GET"), (b"HTTP_A", b"x" * 200), (b"", b""), (b"E" * 130, b"")]
    return [wire.pairs(pairs), wire.pairs(pairs, four=True), wire.pairs(pairs + pairs)]


def _names() -> list[bytes]:
    names = [b"FCGI_MAX_CONNS", b"FCGI_MAX_REQS", b"FCGI_MPXS_CONNS", b"X", b""]
    return [wire.pairs([(name, b"") for name in names]), wire.pairs([(names[0], b"9")] * 2)]


_HEADERS = tuple(
    bytes([version, kind, 0, request_id, 0, length, 0, 0])
    for version, kind, request_id, length in (
        (1, 1, 1, 8), (1, 2, 1, 0), (1, 3, 1, 8), (1, 4, 1, 0), (1, 5, 1, 0), (1, 6, 1, 5),
        (1, 7, 1, 0), (1, 8, 1, 0), (1, 9, 0, 0), (1, 10, 0, 0), (1, 11, 0, 8), (0, 1, 1, 8),
    )
)  # fmt: skip

APPLICATION = Harness("application", check_application, _requests, _HEADERS)
WEBSERVER = Harness("webserver", check_webserver, _responses, _HEADERS)
PAIRS = Harness("pairs", check_pairs, _blocks, (b"\x80\x00\x00\x01", b"\x80\x00\x01\x00", b"\xff"))
GET_VALUES = Harness("get-values", check_get_values, _names, (b"\x0fFCGI_MPXS_CONNS", b"\x00"))
