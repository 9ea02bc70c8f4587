"""§3.3 Records: version, request ids, lengths, padding."""

from __future__ import annotations

import pytest
import webserver_side as wire
from running import RunningServer
from webserver_side import TransportConnection

HELLO = wire.cgi_params(path="/hello")


@pytest.mark.parametrize("version", [0, 2, 77, 255])
def test_another_version_ends_the_transport_connection_and_nothing_else(
    server: RunningServer, version: int
):
    with server.connect() as other, server.connect() as connection:
        other.send(wire.request(1, wire.cgi_params(path="/wait", query="key=version"), b""))
        connection.send(wire.record(wire.BEGIN_REQUEST, 1, b"\0\1\0\0\0\0\0\0", version=version))
        connection.wait_closed()
        server.release("version")
        assert other.response(1).body == b"waited version"


@pytest.mark.parametrize("request_id", [1, 2, 255, 256, 32768, 65535])
def test_a_request_has_the_id_that_the_web_server_gave_it(
    connection: TransportConnection, request_id: int
):
    connection.send(wire.request(request_id, HELLO))
    assert connection.response(request_id).body == b"hello world"


def test_padding_and_reserved_bytes_of_a_record_mean_nothing(connection: TransportConnection):
    block = wire.pairs(wire.cgi_params("POST", "/echo", body=b"body"))
    connection.send(
        wire.record(wire.BEGIN_REQUEST, 1, b"\0\1\0abcde", padding=255, reserved=9),
        wire.record(wire.PARAMS, 1, block, padding=1, reserved=255),
        wire.record(wire.PARAMS, 1, padding=200),
        wire.record(wire.STDIN, 1, b"body", padding=3),
        wire.record(wire.STDIN, 1, padding=255),
    )
    assert connection.response(1).body == b"body"


@pytest.mark.parametrize("size", [1, 3, 7, 9, 100])
def test_bytes_may_come_in_any_pieces(connection: TransportConnection, size: int):
    content = wire.request(1, wire.cgi_params("POST", "/echo", body=b"body"), b"body")
    connection.send_slowly(content, size)
    assert connection.response(1).body == b"body"


def test_records_of_the_response_are_padded_to_multiples_of_eight(server: RunningServer):
    for size in (0, 1, 7, 8, 9, 1000, 40_000, 100_001):
        with server.connect() as connection:
            query = f"count=2&size={size}"
            connection.send(wire.request(1, wire.cgi_params(path="/chunks", query=query)))
            response = connection.response(1)
            assert len(response.body) == 2 * size
            assert all((len(r.content) + r.padding) % 8 == 0 for r in response.records)


def test_the_longest_possible_records_are_taken(connection: TransportConnection):
    body = b"b" * 65535 + b"c"
    connection.send(
        wire.begin_request(1),
        wire.params(1, wire.cgi_params("POST", "/echo", body=body)),
        wire.stdin(1, body, chunk=65535, padding=255),
    )
    assert connection.response(1).body == body


def test_records_for_an_id_that_is_not_active_are_ignored(connection: TransportConnection):
    connection.send(
        wire.stdin(9, b"x" * 70_000),
        wire.params(9, HELLO),
        wire.abort_request(9),
        wire.record(wire.END_REQUEST, 9, bytes(8)),
        wire.record(99, 9, b"?"),
        wire.request(1, HELLO),
    )
    assert connection.response(1).body == b"hello world"


@pytest.mark.parametrize(
    "record_type", [wire.BEGIN_REQUEST, wire.ABORT_REQUEST, wire.PARAMS, wire.STDIN, wire.DATA]
)
def test_an_application_record_with_id_0_ends_the_transport_connection(
    connection: TransportConnection, record_type: int
):
    connection.send(wire.record(record_type, 0, bytes(8)))
    connection.wait_closed()


@pytest.mark.parametrize("record_type", [wire.END_REQUEST, wire.STDOUT, wire.STDERR, 9, 10, 99])
def test_a_type_out_of_place_ends_the_request_and_not_the_connection(
    connection: TransportConnection, record_type: int
):
    waiting = wire.cgi_params(path="/until_aborted", query="key=out-of-place")
    connection.send(
        wire.begin_request(1, keep_conn=True) + wire.params(1, waiting),
        wire.record(record_type, 1, b"abc"),
    )
    response = connection.response(1)
    assert (response.status, response.protocol_status) == (400, wire.REQUEST_COMPLETE)
    connection.send(wire.request(1, HELLO))
    assert connection.response(1).body == b"hello world"
