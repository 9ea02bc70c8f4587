"""The application's core: what it gives, what it sends, and what it refuses to send.

What it gives for malformed input is in the corpus, file by file.
"""

from __future__ import annotations

import tracemalloc
from contextlib import suppress

import pytest
import webserver_side as wire

from gfcgi.errors import Fatal, LimitExceeded, LocalProtocolError, RemoteProtocolError
from gfcgi.protocol import (
    NEED_DATA,
    AbortRequest,
    ApplicationConnection,
    BeginRequest,
    Data,
    EndRequest,
    GetValues,
    GetValuesResult,
    ProtocolStatus,
    Role,
    Stderr,
    Stdin,
    Stdout,
    UnknownType,
)


def connection(*content: bytes, **bounds: int) -> ApplicationConnection:
    core = ApplicationConnection(**bounds)
    core.receive_data(b"".join(content))
    return core


def running(*, keep_conn: bool = True, body: bytes | None = None) -> ApplicationConnection:
    """A core in the middle of request 1."""
    core = connection(wire.begin_request(1, keep_conn=keep_conn), wire.params(1, {}))
    if body is not None:
        core.receive_data(wire.stdin(1, body))
    assert events(core)
    return core


def events(core: ApplicationConnection) -> list[object]:
    found: list[object] = []
    while (event := core.next_event()) is not NEED_DATA:
        found.append(event)
    return found


def sent(buffers: list) -> list[tuple[int, int, bytes]]:
    records, rest = wire.parse_records(b"".join(buffers))
    assert rest == b""
    return [(record.type, record.request_id, record.content) for record in records]


def end_body(app_status: int, protocol_status: int) -> bytes:
    return app_status.to_bytes(4, "big") + bytes([protocol_status, 0, 0, 0])


# -- what arrives


@pytest.mark.parametrize("chunk", [1, 2, 7, 4096])
def test_params_take_no_more_memory_than_their_bytes_however_they_are_cut(chunk):
    pairs = {f"N{number}": "v" * 990 for number in range(100)}
    content = wire.params(1, pairs, chunk=chunk, end=False)
    core = connection(wire.begin_request(1))
    assert events(core) == []
    tracemalloc.start()
    try:
        core.receive_data(content)
        assert events(core) == []
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2 * 100_000
    core.receive_data(wire.params(1, {}))
    (begun,) = events(core)
    assert begun == BeginRequest(1, Role.RESPONDER, False, pairs)


def test_a_request_is_given_when_its_params_end_and_not_when_its_body_does():
    core = connection(wire.begin_request(5, keep_conn=True), wire.params(5, {"A": "b"}))
    assert events(core) == [BeginRequest(5, Role.RESPONDER, True, {"A": "b"})]


@pytest.mark.parametrize("role", list(Role))
def test_every_role_is_told_with_its_request(role: Role):
    core = connection(wire.begin_request(1, role), wire.params(1, {}))
    assert events(core) == [BeginRequest(1, role, False, {})]


def test_a_filter_has_two_streams_that_end_separately():
    core = connection(wire.request(1, {}, b"in", role=wire.FILTER, filter_data=b"file"))
    assert events(core)[1:] == [
        Stdin(1, b"in"),
        Stdin(1, b""),
        Data(1, b"file"),
        Data(1, b""),
    ]


def test_requests_of_one_connection_interleave():
    one, two = {"REQUEST": "1"}, {"REQUEST": "2"}
    core = connection(
        wire.begin_request(1),
        wire.begin_request(2),
        wire.params(2, two, end=False),
        wire.params(1, one),
        wire.record(wire.PARAMS, 2),
        wire.stdin(1, b"a", end=False),
        wire.stdin(2, b"b"),
        wire.stdin(1, b"c"),
    )
    assert events(core) == [
        BeginRequest(1, 1, False, one),
        BeginRequest(2, 1, False, two),
        Stdin(1, b"a"),
        Stdin(2, b"b"),
        Stdin(2, b""),
        Stdin(1, b"c"),
        Stdin(1, b""),
    ]
    assert core.active_requests == 2


def test_an_unknown_management_record_is_given_as_the_answer_that_it_wants():
    core = connection(wire.record(42, 0, b"abc"))
    (event,) = events(core)
    assert event == UnknownType(42)
    assert sent(core.send(event)) == [(wire.UNKNOWN_TYPE, 0, b"\x2a" + bytes(7))]


def test_an_error_names_the_request_and_what_it_is_to_be_answered():
    core = connection(wire.begin_request(3, role=9))
    with pytest.raises(RemoteProtocolError, match="role 9 does not exist") as caught:
        core.next_event()
    error = caught.value
    assert (error.request_id, error.fatal, error.section) == (3, Fatal.REQUEST, "6")
    assert error.protocol_status == ProtocolStatus.UNKNOWN_ROLE
    assert error.http_status.startswith("500 ")
    assert sent(core.send_end(3, protocol_status=error.protocol_status)) == [
        (wire.STDOUT, 3, b""),
        (wire.END_REQUEST, 3, end_body(0, wire.UNKNOWN_ROLE)),
    ]


@pytest.mark.parametrize(
    ("record_type", "name"),
    [(wire.STDOUT, "STDOUT out of place"), (99, "unknown type 99 out of place")],
)
def test_an_error_says_what_was_out_of_place_and_where(record_type: int, name: str):
    core = connection(wire.begin_request(1), wire.record(record_type, 1))
    with pytest.raises(RemoteProtocolError, match=f"{name}, with these streams open: PARAMS"):
        core.next_event()


@pytest.mark.parametrize(
    ("most", "status"),
    [(1, ProtocolStatus.CANT_MPX_CONN), (2, ProtocolStatus.OVERLOADED)],
)
def test_one_request_more_than_allowed_is_refused_with_its_own_status(most: int, status: int):
    core = connection(
        *(wire.begin_request(number) for number in range(1, most + 2)),
        max_concurrent_requests=most,
    )
    with pytest.raises(LimitExceeded, match=f"={most}") as caught:
        core.next_event()
    assert caught.value.protocol_status == status
    assert caught.value.http_status.startswith("503 ")
    assert caught.value.request_id == most + 1
    core.send(EndRequest(1))
    core.send(EndRequest(most + 1))
    core.receive_data(wire.begin_request(1) + wire.params(1, {}))
    assert events(core) == [BeginRequest(1, 1, False, {})]


def test_params_may_be_as_long_as_the_bound_and_no_longer():
    block = wire.pairs({"A": "b" * 100})
    core = connection(
        wire.begin_request(1),
        wire.stream(wire.PARAMS, 1, block, chunk=7),
        max_params_bytes=len(block),
    )
    assert events(core) == [BeginRequest(1, 1, False, {"A": "b" * 100})]
    core = connection(
        wire.begin_request(1),
        wire.stream(wire.PARAMS, 1, block, chunk=7),
        max_params_bytes=len(block) - 1,
    )
    with pytest.raises(LimitExceeded, match="max_params_bytes") as caught:
        core.next_event()
    assert caught.value.http_status.startswith("431 ")
    assert events(core) == []


def test_an_error_in_params_names_its_request():
    core = connection(
        wire.begin_request(6), wire.params(6, [("A", ""), ("B", "")]), max_params_pairs=1
    )
    with pytest.raises(LimitExceeded, match="max_params_pairs") as caught:
        core.next_event()
    assert (caught.value.request_id, caught.value.fatal) == (6, Fatal.REQUEST)


def test_whether_params_are_awaited_can_be_asked_for():
    core = connection()
    assert not core.receiving_params
    core.receive_data(wire.begin_request(1)[:3])
    assert events(core) == []
    assert core.receiving_params
    core.receive_data(wire.begin_request(1)[3:])
    assert events(core) == []
    assert core.receiving_params
    core.receive_data(wire.params(1, {}))
    assert len(events(core)) == 1
    assert not core.receiving_params


@pytest.mark.parametrize(
    ("part", "incomplete"),
    [
        (wire.begin_request(1), True),
        (wire.begin_request(1) + wire.params(1, {"A": "B"}), False),
        (wire.begin_request(1) + wire.params(1, {"A": "B"}) + wire.stdin(1, b"abc")[:4], True),
        (wire.begin_request(1) + wire.params(1, {"A": "B"}) + wire.stdin(1, b"abc")[:10], True),
        (wire.stdin(9, b"x" * 100)[:50], True),
        (wire.begin_request(1)[:1], True),
    ],
    ids=["PARAMS to come", "all of PARAMS", "a header", "a record", "for nobody", "a byte"],
)
def test_what_is_complete_is_known_at_a_glance(part: bytes, incomplete: bool):
    core = ApplicationConnection()
    assert not core.anything_incomplete
    core.receive_data(part)
    events(core)
    assert core.anything_incomplete is incomplete


def test_bytes_that_nobody_wants_are_counted_until_the_next_request():
    core = running()
    core.send(EndRequest(1))
    core.receive_data(wire.stdin(1, b"x" * 100_000) + wire.stdin(9, b"y"))
    assert events(core) == []
    assert core.ignored_bytes == 100_001
    core.receive_data(wire.begin_request(1))
    assert events(core) == []
    assert core.ignored_bytes == 0


def test_an_end_between_records_of_a_body_is_no_error_of_the_protocol():
    core = running()
    core.receive_data(wire.stdin(1, b"abc", end=False))
    events(core)
    core.receive_eof()
    assert core.active_requests == 1


def test_an_end_within_params_names_the_request():
    core = connection(wire.begin_request(8), wire.params(8, {"A": "b"}, end=False))
    assert events(core) == []
    with pytest.raises(RemoteProtocolError, match="PARAMS of request 8"):
        core.receive_eof()


# -- what is sent


def test_the_transport_connection_is_ours_to_close_after_a_request_without_keep_conn():
    core = running(keep_conn=False)
    assert not core.should_close
    core.send(EndRequest(1))
    assert core.should_close


def test_the_transport_connection_is_not_closed_under_another_request():
    core = running(keep_conn=False)
    core.receive_data(wire.begin_request(2, keep_conn=True) + wire.params(2, {}))
    events(core)
    core.send(EndRequest(1))
    assert not core.should_close
    core.send(EndRequest(2))
    assert core.should_close


def test_the_transport_connection_is_kept_where_the_web_server_wants_that():
    core = running(keep_conn=True)
    core.send(EndRequest(1))
    assert not core.should_close
    assert core.active_requests == 0


def test_what_comes_for_a_request_that_has_died_counts_as_unread():
    for content in (wire.begin_request(2, role=9), wire.begin_request(2) + wire.abort_request(2)):
        core = connection(content)
        with suppress(RemoteProtocolError):
            core.next_event()
        core.send(EndRequest(2))
        assert core.input_was_lost


@pytest.mark.parametrize(("body", "lost"), [(b"abc", False), (None, True)])
def test_whether_a_body_was_left_unread_is_known(body: bytes | None, lost: bool):
    core = running(body=body)
    assert not core.input_was_lost
    core.send(EndRequest(1))
    assert core.input_was_lost is lost


def test_the_end_of_a_request_ends_its_streams_first():
    core = running()
    assert sent(core.send(Stderr(1, b"oops"))) == [(wire.STDERR, 1, b"oops")]
    assert sent(core.send_end(1, b"Status: 200 OK\r\n\r\n", app_status=7)) == [
        (wire.STDOUT, 1, b"Status: 200 OK\r\n\r\n"),
        (wire.STDERR, 1, b""),
        (wire.STDOUT, 1, b""),
        (wire.END_REQUEST, 1, end_body(7, 0)),
    ]


def test_an_abort_is_one_record_and_the_request_and_the_connection_end_with_it():
    core = running()
    assert sent(core.send(Stdout(1, b"x"))) == [(wire.STDOUT, 1, b"x")]
    assert sent(core.send_abort(1)) == [(wire.ABORT_REQUEST, 1, b"")]
    assert core.active_requests == 0
    assert core.should_close
    for again in (lambda: core.send_abort(1), lambda: core.send_end(1)):
        with pytest.raises(LocalProtocolError, match="not active"):
            again()


def test_streams_that_have_ended_are_not_ended_again():
    core = running()
    assert sent(core.send(Stdout(1, b"x"))) == [(wire.STDOUT, 1, b"x")]
    assert sent(core.send(Stderr(1, b"y"))) == [(wire.STDERR, 1, b"y")]
    assert sent(core.send(Stderr(1, b""))) == [(wire.STDERR, 1, b"")]
    assert sent(core.send(Stdout(1, b""))) == [(wire.STDOUT, 1, b"")]
    assert sent(core.send(EndRequest(1, 0xFFFFFFFF))) == [
        (wire.END_REQUEST, 1, end_body(0xFFFFFFFF, 0))
    ]


def test_an_error_stream_that_was_not_used_is_not_ended():
    core = running()
    assert [record[0] for record in sent(core.send(EndRequest(1)))] == [
        wire.STDOUT,
        wire.END_REQUEST,
    ]


def test_an_aborted_request_can_still_send_and_end():
    core = running()
    core.receive_data(wire.abort_request(1))
    assert events(core) == [AbortRequest(1)]
    assert core.send(Stdout(1, b"late"))
    assert core.send(EndRequest(1))
    assert core.active_requests == 0


@pytest.mark.parametrize("length", [1, 8, 65535])
def test_a_record_can_be_written_around_what_the_kernel_copies(length: int):
    core = running()
    header, padding = core.send_stdout_header(1, length)
    assert sent([header, b"x" * length, padding]) == [(wire.STDOUT, 1, b"x" * length)]
    assert (length + len(padding)) % 8 == 0


def test_values_are_answered_in_a_management_record():
    core = connection(wire.get_values("FCGI_MAX_CONNS", "FCGI_MPXS_CONNS"))
    assert events(core) == [GetValues(("FCGI_MAX_CONNS", "FCGI_MPXS_CONNS"))]
    answer = GetValuesResult({"FCGI_MAX_CONNS": "100", "FCGI_MPXS_CONNS": "1"})
    ((record_type, request_id, content),) = sent(core.send(answer))
    assert (record_type, request_id) == (wire.GET_VALUES_RESULT, 0)
    assert wire.parse_pairs(content) == [(b"FCGI_MAX_CONNS", b"100"), (b"FCGI_MPXS_CONNS", b"1")]


# -- what is refused


@pytest.mark.parametrize(
    "event", [Stdout(2, b"x"), Stderr(2, b"x"), Stdout(2, b""), EndRequest(2), EndRequest(0)]
)
def test_nothing_is_sent_for_a_request_that_is_not_active(event):
    with pytest.raises(LocalProtocolError, match="not active") as caught:
        running().send(event)
    assert caught.value.request_id == event.request_id


def test_nothing_is_sent_for_a_request_after_its_end():
    core = running()
    core.send(EndRequest(1))
    for event in (Stdout(1, b"x"), Stderr(1, b"x"), EndRequest(1)):
        with pytest.raises(LocalProtocolError, match="not active"):
            core.send(event)


@pytest.mark.parametrize("stream", [Stdout, Stderr])
def test_nothing_is_sent_on_a_stream_after_its_end(stream):
    core = running()
    core.send(stream(1, b""))
    for data in (b"x", b""):
        with pytest.raises(LocalProtocolError, match="ended already"):
            core.send(stream(1, data))
    core.send(EndRequest(1))


def test_the_end_of_a_request_brings_no_data_for_a_stream_that_has_ended():
    core = running()
    core.send(Stdout(1, b""))
    with pytest.raises(LocalProtocolError, match="STDOUT has ended already"):
        core.send_end(1, b"x")
    assert sent(core.send_end(1)) == [(wire.END_REQUEST, 1, end_body(0, 0))]


@pytest.mark.parametrize("length", [-1, 0, 65536])
def test_no_record_is_written_around_nothing_or_too_much(length: int):
    with pytest.raises(LocalProtocolError, match="no STDOUT record has"):
        running().send_stdout_header(1, length)


def test_no_record_is_written_around_anything_after_the_end():
    core = running()
    core.send(Stdout(1, b""))
    with pytest.raises(LocalProtocolError, match="ended already"):
        core.send_stdout_header(1, 5)
    with pytest.raises(LocalProtocolError, match="not active"):
        core.send_stdout_header(2, 5)


@pytest.mark.parametrize("status", [(-1, 0), (1 << 32, 0), (0, -1), (0, 256)])
def test_a_status_that_no_record_can_hold_leaves_the_request_as_it_was(status: tuple[int, int]):
    core = running()
    with pytest.raises(LocalProtocolError, match="out of range"):
        core.send(EndRequest(1, *status))
    assert core.active_requests == 1
    assert len(sent(core.send(EndRequest(1)))) == 2


@pytest.mark.parametrize("record_type", [-1, 256])
def test_a_record_type_that_no_record_can_have_is_refused(record_type: int):
    with pytest.raises(LocalProtocolError, match="no record has type"):
        connection().send(UnknownType(record_type))


def test_values_that_do_not_fit_into_a_record_are_refused():
    values = {"A": "v" * (65535 - 6)}
    assert connection().send(GetValuesResult(values))
    with pytest.raises(LocalProtocolError, match="fit into one record"):
        connection().send(GetValuesResult({**values, "B": ""}))


@pytest.mark.parametrize(
    "event", [Stdin(1, b"x"), Data(1, b""), AbortRequest(1), BeginRequest(1, 1, True, {})]
)
def test_an_application_does_not_send_what_only_a_web_server_sends(event):
    with pytest.raises(LocalProtocolError, match="an application does not send"):
        running().send(event)
