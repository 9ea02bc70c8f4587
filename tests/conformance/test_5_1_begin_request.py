"""§5.1 BEGIN_REQUEST: its size, its role, its flags, and that it comes once."""

from __future__ import annotations

import pytest
import webserver_side as wire
from running import RunningServer
from webserver_side import TransportConnection


@pytest.mark.parametrize("size", [0, 1, 7, 9, 65535])
def test_another_size_than_eight_ends_the_request(connection: TransportConnection, size: int):
    connection.send(
        wire.record(wire.BEGIN_REQUEST, 1, b"\0" * size),
        wire.params(1, wire.cgi_params()),
        wire.stdin(1, b"late"),
    )
    response = connection.response(1)
    assert (response.status, response.protocol_status) == (400, wire.REQUEST_COMPLETE)
    connection.wait_closed()


def test_a_wrong_size_does_not_hurt_another_request(
    server: RunningServer, connection: TransportConnection
):
    waiting = wire.cgi_params(path="/wait", query="key=size")
    connection.send(wire.request(1, waiting, keep_conn=True))
    connection.send(wire.record(wire.BEGIN_REQUEST, 2, b"\0"))
    assert connection.response(2).status == 400
    server.release("size")
    assert connection.response(1).body == b"waited size"


@pytest.mark.parametrize("role", [0, 4, 255, 65535])
def test_an_unknown_role_is_refused_with_its_status_and_a_page(
    connection: TransportConnection, role: int
):
    for _ in range(2):
        connection.send(
            wire.begin_request(1, role, keep_conn=True),
            wire.params(1, wire.cgi_params()),
            wire.stdin(1, b"late"),
        )
        response = connection.response(1)
        assert response.protocol_status == wire.UNKNOWN_ROLE
        assert response.status == 500
        assert response.body
        assert response.stdout_ended


def test_flags_other_than_keep_conn_are_ignored(connection: TransportConnection):
    connection.send(wire.begin_request(1, flags=0xFF))
    connection.send(wire.params(1, wire.cgi_params()), wire.stdin(1, b""))
    assert connection.response(1).body == b"hello world"
    connection.send(wire.begin_request(1, flags=0xFE))
    connection.send(wire.params(1, wire.cgi_params()), wire.stdin(1, b""))
    assert connection.response(1).body == b"hello world"
    connection.wait_closed()


def test_a_second_one_for_an_active_id_ends_the_request_and_tells_the_application(
    server: RunningServer, connection: TransportConnection
):
    waiting = wire.cgi_params("POST", "/until_aborted", "key=twice", b"...")
    connection.send(wire.begin_request(1, keep_conn=True), wire.params(1, waiting))
    server.wait_noted("twice", "waiting")
    connection.send(wire.request(1, wire.cgi_params()))
    response = connection.response(1)
    assert (response.status, response.protocol_status) == (400, wire.REQUEST_COMPLETE)
    server.wait_noted("twice", "aborted")
    connection.send(wire.request(1, wire.cgi_params(), keep_conn=True))
    assert connection.response(1).body == b"hello world"
