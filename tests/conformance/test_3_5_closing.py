"""§3.5 Closing transport connections: KEEP_CONN says whose it is."""

from __future__ import annotations

import pytest
import webserver_side as wire
from running import THREADS, RunningServer, wait_until
from webserver_side import TransportConnection

HELLO = wire.cgi_params(path="/hello")


def test_without_keep_conn_the_application_closes_after_end_request(
    connection: TransportConnection,
):
    connection.send(wire.request(1, HELLO))
    assert connection.response(1).body == b"hello world"
    connection.wait_closed()


def test_with_keep_conn_the_transport_connection_serves_one_request_after_another(
    connection: TransportConnection,
):
    for number in range(20):
        query = f"name={number}"
        connection.send(wire.request(1, wire.cgi_params(query=query), keep_conn=True))
        assert connection.response(1).body == f"hello {number}".encode()
    connection.send(wire.request(1, HELLO))
    connection.response(1)
    connection.wait_closed()


def test_requests_that_come_at_once_are_all_answered_in_order(connection: TransportConnection):
    parts = [
        wire.request(number, wire.cgi_params(query=f"name={number}"), keep_conn=True)
        for number in range(1, 51)
    ]
    connection.send(*parts)
    for number in range(1, 51):
        assert connection.response(number).body == f"hello {number}".encode()


@pytest.mark.skipif(THREADS > 0, reason="it is active until a thread has answered (§3.3)")
def test_the_same_id_is_used_again_before_its_answer_was_read(connection: TransportConnection):
    connection.send(*[wire.request(1, HELLO, keep_conn=True)] * 10)
    for _ in range(10):
        assert connection.response(1).body == b"hello world"


def test_a_request_without_keep_conn_does_not_cut_another_on_its_connection(
    server: RunningServer, connection: TransportConnection
):
    waiting = wire.cgi_params(path="/wait", query="key=closing")
    connection.send(wire.request(1, waiting, keep_conn=True), wire.request(2, HELLO))
    assert connection.response(2).body == b"hello world"
    server.release("closing")
    assert connection.response(1).body == b"waited closing"
    connection.wait_closed()


@pytest.mark.skipif(THREADS > 0, reason="an end that is read before the answer is an abort")
def test_a_web_server_may_finish_sending_before_it_is_answered(connection: TransportConnection):
    connection.send(wire.request(1, HELLO))
    connection.finish_sending()
    assert connection.response(1).body == b"hello world"


def test_a_web_server_that_closes_an_idle_connection_disturbs_nobody(server: RunningServer):
    before = server.state()["connections"]
    with server.connect() as connection:
        connection.send(wire.request(1, HELLO, keep_conn=True))
        connection.response(1)
    with server.connect():
        pass
    assert server.get().body == b"hello world"
    wait_until(lambda: server.state()["connections"] == before, "the connections to be gone")
