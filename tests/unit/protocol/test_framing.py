"""Bytes into records and stream data into records, the part that both cores share."""

from __future__ import annotations

import array
import sys

import pytest
import webserver_side as wire

from gfcgi.errors import Fatal, LocalProtocolError, RemoteProtocolError
from gfcgi.protocol import (
    NEED_DATA,
    ApplicationConnection,
    BeginRequest,
    RecordType,
    Stdin,
)
from gfcgi.protocol.framing import encode_stream

REQUEST = wire.begin_request(1) + wire.params(1, {})


def connection(*content: bytes) -> ApplicationConnection:
    core = ApplicationConnection()
    core.receive_data(b"".join(content))
    return core


def test_nothing_is_done_with_bytes_before_they_are_pulled():
    core = connection(REQUEST, wire.stdin(1, b"abc"))
    assert core.active_requests == 0
    assert core.has_buffered_data
    assert core.next_event() == BeginRequest(1, 1, False, {})
    assert core.has_buffered_data
    assert core.next_event() == Stdin(1, b"abc")
    assert core.next_event() == Stdin(1, b"")
    assert core.next_event() is NEED_DATA
    assert not core.has_buffered_data


def test_bytes_that_were_used_up_are_not_kept():
    """A request that sleeps would have its params twice."""
    data = REQUEST + wire.stdin(1, b"abc")
    before = sys.getrefcount(data)
    core = ApplicationConnection()
    core.receive_data(data)
    assert sys.getrefcount(data) > before
    while core.next_event() is not NEED_DATA:
        pass
    assert sys.getrefcount(data) == before


def test_stream_data_is_handed_on_before_its_record_is_complete():
    core = connection(REQUEST, wire.record(wire.STDIN, 1, b"abcdef", padding=2)[:-5])
    assert [core.next_event() for _ in range(3)] == [
        BeginRequest(1, 1, False, {}),
        Stdin(1, b"abc"),
        NEED_DATA,
    ]
    core.receive_data(b"def\xee")
    assert [core.next_event() for _ in range(2)] == [Stdin(1, b"def"), NEED_DATA]
    core.receive_data(b"\xee" + wire.record(wire.STDIN, 1))
    assert [core.next_event() for _ in range(2)] == [Stdin(1, b""), NEED_DATA]


def test_bytes_that_arrive_before_others_were_pulled_are_kept_in_order():
    core = connection(REQUEST[:5])
    core.receive_data(REQUEST[5:])
    core.receive_data(wire.stdin(1, b"abc"))
    assert core.next_event() == BeginRequest(1, 1, False, {})
    core.receive_data(b"")
    assert core.next_event() == Stdin(1, b"abc")


def test_content_and_padding_of_records_for_nobody_are_skipped_as_they_come():
    core = connection(wire.record(wire.STDIN, 9, b"x" * 1000, padding=255))
    assert core.next_event() is NEED_DATA
    assert not core.has_buffered_data
    core.receive_data(wire.record(wire.STDIN, 9, b"x" * 1000, padding=255)[:100])
    assert core.next_event() is NEED_DATA
    assert not core.has_buffered_data


@pytest.mark.parametrize(
    "end", range(1, len(wire.record(wire.STDIN, 1, b"abc", padding=2))), ids="{} bytes".format
)
def test_an_end_in_the_middle_of_a_record_breaks_the_transport_connection(end: int):
    core = connection(REQUEST, wire.record(wire.STDIN, 1, b"abc", padding=2)[:end])
    while core.next_event() is not NEED_DATA:
        pass
    with pytest.raises(RemoteProtocolError, match="middle of a record") as caught:
        core.receive_eof()
    assert caught.value.fatal is Fatal.TRANSPORT_CONNECTION
    with pytest.raises(RemoteProtocolError) as again:
        core.next_event()
    assert again.value is caught.value


def test_a_broken_transport_connection_stays_broken():
    core = connection(b"\x02" + bytes(7), REQUEST)
    with pytest.raises(RemoteProtocolError, match="version 2") as caught:
        core.next_event()
    core.receive_data(REQUEST)
    for _ in range(2):
        with pytest.raises(RemoteProtocolError) as again:
            core.next_event()
        assert again.value is caught.value


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\n", b"HTTP/1.1 400 Bad Request\r\n"])
def test_http_is_named_where_it_comes_instead(start):
    core = connection(start)
    with pytest.raises(RemoteProtocolError, match="where only 1 exists: this looks like HTTP"):
        core.next_event()


@pytest.mark.parametrize("length", [1, 7, 8, 16384, 16385, 65528, 65529, 65535, 65536, 200_001])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_stream_is_cut_into_whole_padded_records(kind, length: int):
    data = bytes(range(256)) * (length // 256 + 1)
    data = data[:length]
    buffers = encode_stream(RecordType.STDOUT, 258, kind(data))
    records, rest = wire.parse_records(b"".join(buffers))
    assert rest == b""
    assert b"".join(record.content for record in records) == data
    assert {(record.type, record.request_id) for record in records} == {(wire.STDOUT, 258)}
    assert all(record.content for record in records)
    assert all((len(record.content) + record.padding) % 8 == 0 for record in records)
    assert {record.padding for record in records[:-1]} <= {0}


def test_long_data_is_referred_to_and_not_copied():
    data = bytearray(100_000)
    buffers = encode_stream(RecordType.STDOUT, 1, data)
    data[:] = b"x" * 100_000
    records, _ = wire.parse_records(b"".join(buffers))
    assert b"".join(record.content for record in records) == data


@pytest.mark.parametrize(
    "view",
    [
        memoryview(array.array("I", [1, 2, 3])),
        memoryview(array.array("I", range(100_000))),
        memoryview(b"abcdef")[::2],
        memoryview(bytes(100_000))[::2],
        memoryview(b"abcdef").cast("B", (2, 3)),
    ],
    ids=["wide", "wide and long", "strided", "strided and long", "two dimensions"],
)
def test_a_view_whose_length_is_not_its_bytes_is_refused(view: memoryview):
    with pytest.raises(LocalProtocolError, match="not plain bytes"):
        encode_stream(RecordType.STDOUT, 1, view)
