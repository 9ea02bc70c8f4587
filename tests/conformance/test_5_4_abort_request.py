"""§5.4 ABORT_REQUEST, in every state of a request."""

from __future__ import annotations

import webserver_side as wire
from running import RunningServer
from webserver_side import TransportConnection

BEGIN = wire.begin_request(1, keep_conn=True)


def still_usable(connection: TransportConnection) -> None:
    connection.send(wire.request(1, wire.cgi_params(), keep_conn=True))
    assert connection.response(1).body == b"hello world"


def test_before_params(connection: TransportConnection):
    connection.send(BEGIN, wire.abort_request(1))
    assert connection.response(1).protocol_status == wire.REQUEST_COMPLETE
    still_usable(connection)


def test_in_the_middle_of_params(connection: TransportConnection):
    params = wire.params(1, wire.cgi_params(), end=False)
    connection.send(BEGIN, params, wire.abort_request(1), wire.record(wire.PARAMS, 1))
    assert connection.response(1).protocol_status == wire.REQUEST_COMPLETE
    still_usable(connection)


def test_together_with_its_request(connection: TransportConnection):
    request = wire.request(1, wire.cgi_params(path="/until_aborted", query=""), keep_conn=True)
    connection.send(request, wire.abort_request(1))
    assert connection.response(1).protocol_status == wire.REQUEST_COMPLETE
    still_usable(connection)


def test_while_the_application_reads_the_body(
    server: RunningServer, connection: TransportConnection
):
    values = wire.cgi_params("POST", "/digest", "key=abort-read", b"b" * 100)
    connection.send(BEGIN, wire.params(1, values), wire.stdin(1, b"b", end=False))
    server.wait_noted("abort-read", "reading")
    connection.send(wire.abort_request(1))
    assert connection.response(1).protocol_status == wire.REQUEST_COMPLETE
    server.wait_noted("abort-read", "aborted")
    connection.send(wire.stdin(1, b"late"))
    still_usable(connection)


def test_while_the_application_waits_for_something_else(
    server: RunningServer, connection: TransportConnection
):
    values = wire.cgi_params("POST", "/until_aborted", "key=abort-wait", b"...")
    connection.send(wire.request(1, values, b"...", keep_conn=True))
    server.wait_noted("abort-wait", "waiting")
    connection.send(wire.abort_request(1))
    assert connection.response(1).protocol_status == wire.REQUEST_COMPLETE
    server.wait_noted("abort-wait", "aborted")
    still_usable(connection)


def test_while_the_response_is_sent_its_iterable_is_closed(
    server: RunningServer, connection: TransportConnection
):
    query = "key=abort-write&count=1000000&size=1000&yield=1"
    connection.send(wire.request(1, wire.cgi_params(path="/chunks", query=query), keep_conn=True))
    while len(connection.partial(1).stdout) < 10_000:
        connection.read_any()
    connection.send(wire.abort_request(1))
    response = connection.response(1)
    assert response.protocol_status == wire.REQUEST_COMPLETE
    assert len(response.body) < 1_000_000_000
    assert str(server.noted("abort-write")).startswith("closed after ")
    still_usable(connection)


def test_after_end_request(connection: TransportConnection):
    connection.send(wire.request(1, wire.cgi_params(), keep_conn=True))
    assert connection.response(1).body == b"hello world"
    connection.send(wire.abort_request(1))
    still_usable(connection)


def test_of_one_among_others(server: RunningServer, connection: TransportConnection):
    for request_id in (1, 2, 3):
        values = wire.cgi_params(path="/wait", query=f"key=among-{request_id}")
        connection.send(wire.request(request_id, values, keep_conn=True))
    server.wait_noted("among-3", "waiting")
    connection.send(wire.abort_request(2))
    assert connection.response(2).protocol_status == wire.REQUEST_COMPLETE
    for request_id in (3, 1):
        server.release(f"among-{request_id}")
        assert connection.response(request_id).body == f"waited among-{request_id}".encode()
    server.release("among-2")


def test_of_a_request_without_keep_conn_the_connection_is_closed(
    connection: TransportConnection,
):
    connection.send(wire.begin_request(1), wire.abort_request(1))
    connection.response(1)
    connection.wait_closed()
