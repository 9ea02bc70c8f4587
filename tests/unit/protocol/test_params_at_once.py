"""PARAMS that came in one read are taken in one step, with the outcome that they have otherwise.

Byte by byte that step is never taken, so the two must agree; on everything that almost looks like
what nearly every Web server sends.
"""

from __future__ import annotations

import itertools

import pytest
import webserver_side as wire
from replay import Transcript, byte_by_byte, whole

from gfcgi.protocol import ApplicationConnection

BLOCK = wire.pairs({"A": "b"})
BEGIN = wire.begin_request(1, keep_conn=True)
AFTER = wire.stdin(1, b"body") + wire.request(2, {"C": "d"})

# Padding may have any content (§3.3), so also that of other records.
PADDING = wire.record(wire.PARAMS, 1, BLOCK) + wire.record(wire.PARAMS, 1)
BEGINS = [
    BEGIN,
    wire.record(wire.BEGIN_REQUEST, 1, b"\0\3\1\0\0\0\0\0", padding=7),
    wire.record(wire.BEGIN_REQUEST, 1, b"\0\2\0\0\0\0\0\0", padding=255),
    bytes([1, 1, 0, 1, 0, 8, len(PADDING), 0]) + b"\0\1\1\0\0\0\0\0" + PADDING,
]
FIRST = [
    wire.record(wire.PARAMS, 1, BLOCK),
    wire.record(wire.PARAMS, 1, BLOCK, padding=5),
    wire.record(wire.PARAMS, 2, BLOCK),
    wire.record(wire.PARAMS, 0, BLOCK),
    wire.record(wire.PARAMS, 1, BLOCK, version=2),
    wire.record(wire.PARAMS, 1, b"\5"),
    wire.record(wire.PARAMS, 1, wire.pairs({"A": "b" * 100})),
    wire.record(wire.PARAMS, 1, b""),
    wire.record(wire.STDIN, 1, BLOCK),
    wire.record(wire.GET_VALUES, 0, BLOCK),
    wire.abort_request(1),
    wire.begin_request(2),
]
SECOND = [
    wire.record(wire.PARAMS, 1),
    wire.record(wire.PARAMS, 1, padding=9),
    wire.record(wire.PARAMS, 2),
    wire.record(wire.PARAMS, 0),
    wire.record(wire.PARAMS, 1, version=2),
    wire.record(wire.PARAMS, 1, BLOCK) + wire.record(wire.PARAMS, 1),
    wire.record(wire.STDIN, 1),
    wire.record(wire.GET_VALUES, 0),
    wire.abort_request(1),
]
BOUNDS = [{}, {"max_params_bytes": len(BLOCK)}, {"max_params_bytes": len(BLOCK) - 1}]


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
@pytest.mark.parametrize("begin", BEGINS, ids=["plain", "padded", "much padded", "oddly padded"])
def test_what_almost_looks_like_it_has_the_same_outcome_in_one_piece(
    begin: bytes, bounds: dict[str, int]
):
    for first, second in itertools.product(FIRST, SECOND):
        content = begin + first + second + AFTER
        outcomes = [
            Transcript(ApplicationConnection(**bounds)).feed(cut(content)).eof().events
            for cut in (whole, byte_by_byte)
        ]
        assert outcomes[0] == outcomes[1], (begin, first, second)


def test_it_has_the_same_outcome_wherever_the_first_piece_ends():
    content = BEGINS[1] + FIRST[1] + SECOND[1] + AFTER
    expected = Transcript(ApplicationConnection()).feed(byte_by_byte(content)).eof().events
    assert expected[0][0] == "BeginRequest"
    for end in range(len(content) + 1):
        pieces = [content[:end], content[end:]]
        assert Transcript(ApplicationConnection()).feed(pieces).eof().events == expected, end


def test_the_event_is_there_with_the_last_byte_of_the_header_that_ends_params():
    content = BEGIN + wire.record(wire.PARAMS, 1, BLOCK, padding=3) + wire.record(wire.PARAMS, 1)
    for end in (len(content) - 1, len(content)):
        transcript = Transcript(ApplicationConnection()).feed([content[:end]])
        assert len(transcript.events) == (end == len(content))
