"""§6.2 Responder, §6.3 Authorizer, §6.4 Filter."""

from __future__ import annotations

import pytest
import webserver_side as wire
from webserver_side import TransportConnection


def test_6_2_a_responder_has_params_and_stdin(connection: TransportConnection):
    connection.send(wire.request(1, wire.cgi_params("POST", "/echo", body=b"in"), b"in"))
    assert connection.response(1).body == b"in"


@pytest.mark.parametrize("content", [b"file", b""])
def test_6_2_a_responder_has_no_data(connection: TransportConnection, content: bytes):
    values = wire.cgi_params("POST", "/until_aborted", body=b"...")
    connection.send(wire.begin_request(1, keep_conn=True), wire.params(1, values))
    connection.send(wire.record(wire.DATA, 1, content))
    assert connection.response(1).status == 400
    connection.send(wire.request(1, wire.cgi_params()))
    assert connection.response(1).status == 200


@pytest.mark.parametrize(
    "stdin",
    [b"", wire.record(wire.STDIN, 1), wire.stdin(1, b"x" * 3000)],
    ids=["none", "an empty one", "content"],
)
def test_6_3_an_authorizer_is_answered_as_soon_as_params_end(
    connection: TransportConnection, stdin: bytes
):
    values = {**wire.cgi_params("POST", "/echo"), "CONTENT_LENGTH": "3000"}
    connection.send(
        wire.begin_request(1, wire.AUTHORIZER, keep_conn=True), wire.params(1, values), stdin
    )
    response = connection.response(1)
    assert (response.status, response.body) == (200, b"")
    connection.send(wire.request(1, wire.cgi_params()))
    assert connection.response(1).status == 200


def test_6_3_an_authorizer_has_no_data(connection: TransportConnection):
    values = wire.cgi_params(path="/until_aborted")
    connection.send(wire.begin_request(1, wire.AUTHORIZER), wire.params(1, values))
    connection.send(wire.data(1, b"file"))
    assert connection.response(1).status == 400


def test_6_4_a_filter_has_stdin_and_then_data(connection: TransportConnection):
    values = wire.cgi_params("POST", "/echo", body=b"in")
    connection.send(wire.request(1, values, b"in", role=wire.FILTER, filter_data=b"file" * 50_000))
    assert connection.response(1).body == b"in|" + b"file" * 50_000


def test_6_4_both_streams_of_a_filter_may_be_empty(connection: TransportConnection):
    values = wire.cgi_params(path="/echo")
    connection.send(wire.request(1, values, role=wire.FILTER, filter_data=b""))
    assert connection.response(1).body == b"|"


@pytest.mark.parametrize(
    ("length", "status"), [("4", 200), ("3", 200), ("5", 400), ("", 200), ("nonsense", 200)]
)
def test_6_4_data_that_ends_before_its_length_is_an_error(
    connection: TransportConnection, length: str, status: int
):
    values = {**wire.cgi_params(path="/echo"), "FCGI_DATA_LENGTH": length}
    connection.send(wire.request(1, values, role=wire.FILTER, filter_data=b"file"))
    assert connection.response(1).status == status


def test_6_4_the_streams_of_a_filter_may_interleave(connection: TransportConnection):
    values = {**wire.cgi_params("POST", "/echo"), "CONTENT_LENGTH": "4"}
    connection.send(
        wire.begin_request(1, wire.FILTER),
        wire.params(1, values),
        wire.data(1, b"fi", end=False),
        wire.stdin(1, b"in", end=False),
        wire.data(1, b"le"),
        wire.stdin(1, b"to"),
    )
    assert connection.response(1).body == b"into|file"


@pytest.mark.parametrize(
    ("kind", "late"),
    [(wire.DATA, b"more"), (wire.DATA, b""), (wire.STDIN, b"more"), (wire.STDIN, b"")],
)
def test_6_4_a_stream_of_a_filter_after_its_end_ends_the_request(
    connection: TransportConnection, kind: int, late: bytes
):
    values = wire.cgi_params(path="/until_aborted")
    request = wire.request(1, values, role=wire.FILTER, filter_data=b"file", keep_conn=True)
    connection.send(request, wire.record(kind, 1, late))
    assert connection.response(1).status == 400
    connection.send(wire.request(1, wire.cgi_params()))
    assert connection.response(1).status == 200
