"""§5.2 PARAMS: a request is dispatched at their end, within bounds."""

from __future__ import annotations

import pytest
import webserver_side as wire
from running import RunningServer
from webserver_side import TransportConnection


def test_a_request_is_dispatched_when_params_end_and_not_when_stdin_does(
    connection: TransportConnection,
):
    connection.send(wire.begin_request(1), wire.params(1, wire.cgi_params("POST", body=b"...")))
    assert connection.response(1).body == b"hello world"


def test_nothing_is_dispatched_before_params_end(
    server: RunningServer, connection: TransportConnection
):
    values = wire.cgi_params(query="key=dispatched")
    connection.send(wire.begin_request(1), wire.params(1, values, end=False))
    connection.send(wire.get_values("FCGI_MPXS_CONNS"))
    assert connection.values()
    assert server.noted("dispatched") is None
    connection.send(wire.record(wire.PARAMS, 1), wire.stdin(1, b""))
    assert connection.response(1).body == b"hello world"
    assert server.noted("dispatched") == "answered"


@pytest.mark.parametrize("late", [b"", b"\0\0"])
def test_params_after_their_end_end_the_request(
    server: RunningServer, connection: TransportConnection, late: bytes
):
    values = wire.cgi_params(path="/until_aborted", query="key=params-twice")
    connection.send(wire.begin_request(1, keep_conn=True), wire.params(1, values))
    connection.send(wire.record(wire.PARAMS, 1, late))
    assert connection.response(1).status == 400
    connection.send(wire.request(1, wire.cgi_params()))
    assert connection.response(1).status == 200


def test_too_many_bytes_or_pairs_are_refused_with_431_and_the_connection_kept():
    with (
        RunningServer(max_params_bytes=1000, max_params_pairs=20) as server,
        server.connect() as connection,
    ):
        for values in (
            {**wire.cgi_params(), "HTTP_COOKIE": "c" * 1000},
            {**wire.cgi_params(), **{f"X_{number}": "" for number in range(20)}},
        ):
            connection.send(wire.request(1, values, b"late", keep_conn=True))
            response = connection.response(1)
            assert (response.status, response.protocol_status) == (431, wire.REQUEST_COMPLETE)
            assert b"431" in response.body
        connection.send(wire.request(1, wire.cgi_params()))
        assert connection.response(1).status == 200


def test_a_stream_before_params_end_ends_the_request(connection: TransportConnection):
    connection.send(wire.begin_request(1, keep_conn=True), wire.stdin(1, b"early"))
    assert connection.response(1).status == 400
    connection.send(wire.request(1, wire.cgi_params()))
    assert connection.response(1).status == 200
