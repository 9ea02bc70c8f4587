"""The Web server's core: what it sends, what it gives, and what it refuses either way."""

from __future__ import annotations

import pytest
import webserver_side as wire

from gfcgi.errors import Fatal, LocalProtocolError, RemoteProtocolError
from gfcgi.protocol import (
    NEED_DATA,
    AbortRequest,
    BeginRequest,
    Data,
    EndRequest,
    GetValues,
    GetValuesResult,
    Role,
    Stderr,
    Stdin,
    Stdout,
    UnknownType,
    WebServerConnection,
)

END = wire.record(wire.END_REQUEST, 1, bytes(8))


def running(role: int = Role.RESPONDER) -> WebServerConnection:
    """A core that has begun request 1."""
    core = WebServerConnection()
    core.send(BeginRequest(1, role, True, {}))
    return core


def events(core: WebServerConnection, *content: bytes) -> list[object]:
    core.receive_data(b"".join(content))
    found: list[object] = []
    while (event := core.next_event()) is not NEED_DATA:
        found.append(event)
    return found


# -- what is sent


def test_a_request_begins_with_its_params_and_their_end():
    core = WebServerConnection()
    params = {"A": "b", "C": "d" * 70_000}
    event = BeginRequest(65535, Role.FILTER, True, params, (("A", "again"),))
    records, rest = wire.parse_records(b"".join(core.send(event)))
    assert rest == b""
    assert {record.request_id for record in records} == {65535}
    assert records[0].type == wire.BEGIN_REQUEST
    assert records[0].content == bytes([0, 3, 1, 0, 0, 0, 0, 0])
    assert {record.type for record in records[1:]} == {wire.PARAMS}
    assert [bool(record.content) for record in records[1:]] == [True, True, False]
    block = b"".join(record.content for record in records[1:])
    assert wire.parse_pairs(block) == [
        (b"A", b"b"),
        (b"C", b"d" * 70_000),
        (b"A", b"again"),
    ]


def test_a_request_without_params_and_without_keep_conn():
    records, _ = wire.parse_records(
        b"".join(WebServerConnection().send(BeginRequest(1, 1, False, {})))
    )
    assert [(record.type, record.content) for record in records] == [
        (wire.BEGIN_REQUEST, bytes([0, 1, 0, 0, 0, 0, 0, 0])),
        (wire.PARAMS, b""),
    ]


def test_the_streams_of_a_filter_are_sent_in_any_order():
    core = running(Role.FILTER)
    sent = [Data(1, b"a"), Stdin(1, b"b"), Stdin(1, b""), Data(1, b"c"), Data(1, b"")]
    records, _ = wire.parse_records(b"".join(b"".join(core.send(event)) for event in sent))
    assert [(record.type, record.content) for record in records] == [
        (wire.DATA, b"a"),
        (wire.STDIN, b"b"),
        (wire.STDIN, b""),
        (wire.DATA, b"c"),
        (wire.DATA, b""),
    ]


def test_an_abort_is_one_record_and_ends_what_is_sent():
    core = running()
    assert b"".join(core.send(AbortRequest(1))) == wire.abort_request(1)
    with pytest.raises(LocalProtocolError, match="STDIN has ended"):
        core.send(Stdin(1, b"x"))
    assert events(core, END) == [EndRequest(1)]


def test_values_are_asked_for_by_their_names():
    buffers = WebServerConnection().send(GetValues(("FCGI_MAX_CONNS", "FCGI_MAX_REQS")))
    (record,), _ = wire.parse_records(b"".join(buffers))
    assert (record.type, record.request_id) == (wire.GET_VALUES, 0)
    assert wire.parse_pairs(record.content) == [(b"FCGI_MAX_CONNS", b""), (b"FCGI_MAX_REQS", b"")]


@pytest.mark.parametrize("request_id", [-1, 0, 1, 65536])
def test_a_request_id_in_use_or_out_of_range_is_refused(request_id: int):
    core = running()
    with pytest.raises(LocalProtocolError, match="in use or out of range") as caught:
        core.send(BeginRequest(request_id, 1, True, {}))
    assert caught.value.request_id == request_id


def test_a_request_id_is_free_again_after_its_end():
    core = running()
    assert events(core, END) == [EndRequest(1)]
    assert core.active_requests == 0
    assert core.send(BeginRequest(1, 1, True, {}))
    assert core.active_requests == 1


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (BeginRequest(2, 4, True, {}), "role 4 does not exist"),
        (BeginRequest(2, 1, True, {"A": "€"}), "not latin-1"),
        (BeginRequest(2, 1, True, {}, (("A", "€"),)), "not latin-1"),
        (Stdin(2, b"x"), "not active"),
        (AbortRequest(2), "not active"),
        (Data(1, b"x"), "DATA has ended, or its role has none"),
        (GetValues(("A" * 70_000,)), "fit into one record"),
        (Stdout(1, b"x"), "a Web server does not send"),
        (EndRequest(1), "a Web server does not send"),
    ],
)
def test_what_cannot_be_sent_changes_nothing(event, reason: str):
    core = running()
    with pytest.raises(LocalProtocolError, match=reason):
        core.send(event)
    assert core.active_requests == 1
    assert core.send(Stdin(1, b""))


def test_nothing_is_sent_on_a_stream_after_its_end():
    core = running()
    core.send(Stdin(1, b""))
    for data in (b"x", b""):
        with pytest.raises(LocalProtocolError, match="STDIN has ended"):
            core.send(Stdin(1, data))


# -- what arrives


def test_a_response_is_given_stream_by_stream():
    core = running()
    content = (
        wire.record(wire.STDOUT, 1, b"out")
        + wire.record(wire.STDERR, 1, b"err", padding=5)
        + wire.record(wire.STDERR, 1)
        + wire.record(wire.STDOUT, 1)
        + wire.record(wire.END_REQUEST, 1, bytes([0, 0, 1, 2, 3, 0, 0, 0]))
    )
    assert events(core, content) == [
        Stdout(1, b"out"),
        Stderr(1, b"err"),
        Stderr(1, b""),
        Stdout(1, b""),
        EndRequest(1, 258, 3),
    ]
    core.receive_eof()


def test_records_for_a_request_that_is_not_active_are_ignored():
    core = running()
    late = wire.record(wire.STDOUT, 2, b"late") + wire.record(wire.STDOUT, 2)
    assert events(core, late, wire.record(wire.END_REQUEST, 2, bytes(8)), END) == [EndRequest(1)]


def test_management_answers_are_given():
    core = WebServerConnection()
    answer = wire.record(wire.GET_VALUES_RESULT, 0, wire.pairs({"FCGI_MAX_CONNS": "1"}))
    unknown = wire.record(wire.UNKNOWN_TYPE, 0, b"\x2a" + bytes(7))
    assert events(core, answer, unknown) == [
        GetValuesResult({"FCGI_MAX_CONNS": "1"}),
        UnknownType(42),
    ]


@pytest.mark.parametrize(
    ("content", "section"),
    [
        (wire.record(wire.STDOUT, 0, b"x"), "3.3"),
        (wire.record(wire.STDOUT, 0), "4"),
        (wire.record(wire.END_REQUEST, 0, bytes(8)), "4"),
        (wire.record(wire.UNKNOWN_TYPE, 0, b"\x2a"), "4"),
        (wire.record(wire.GET_VALUES_RESULT, 0, b"\x05"), "3.4"),
        (wire.record(wire.END_REQUEST, 1, b"\0"), "5.5"),
        (wire.record(wire.END_REQUEST, 1, b"\0\0\0\0\4\0\0\0"), "5.5"),
        (wire.stream(wire.STDOUT, 1, b"") + wire.record(wire.STDOUT, 1, b"x"), "3.3"),
        (wire.stream(wire.STDERR, 1, b"") + wire.record(wire.STDERR, 1), "3.3"),
        (wire.record(wire.STDIN, 1, b"x"), "3.3"),
        (wire.record(99, 1), "3.3"),
        (wire.record(wire.STDOUT, 1, b"x", version=77), "3.3"),
    ],
)
def test_what_an_application_must_not_send_breaks_the_connection(content: bytes, section: str):
    core = running()
    with pytest.raises(RemoteProtocolError) as caught:
        events(core, content)
    assert caught.value.section == section
    assert caught.value.fatal is Fatal.TRANSPORT_CONNECTION
    with pytest.raises(RemoteProtocolError):
        core.next_event()


def test_an_end_before_end_request_is_an_error():
    core = running()
    assert events(core, wire.record(wire.STDOUT, 1, b"x")) == [Stdout(1, b"x")]
    with pytest.raises(RemoteProtocolError, match="before END_REQUEST"):
        core.receive_eof()


def test_an_end_without_requests_is_none():
    WebServerConnection().receive_eof()
