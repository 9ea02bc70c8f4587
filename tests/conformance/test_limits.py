"""Bounds that are no part of the specification: connections, and who may open one."""

from __future__ import annotations

import webserver_side as wire
from running import RunningServer, wait_until


def test_connections_beyond_the_bound_wait_for_their_turn():
    with RunningServer(max_connections=2) as server:
        first, second = server.connect(), server.connect()
        values = wire.cgi_params(path="/wait", query="key=turn")
        first.send(wire.request(1, values, keep_conn=True))
        wait_until(lambda: server.state()["connections"] == 2, "two connections")
        with server.connect() as third:
            third.send(wire.request(1, wire.cgi_params()))
            assert not third.readable(0.2)
            second.close()
            assert third.response(1).body == b"hello world"
        server.release("turn")
        assert first.response(1).body == b"waited turn"
        first.close()
        assert server.get().body == b"hello world"


def test_a_tcp_peer_that_is_not_allowed_is_closed_without_an_answer():
    with RunningServer(tcp=True, allow_from=["192.0.2.0/24"]) as server:
        for _ in range(3):
            with server.connect() as connection:
                connection.wait_closed()
        assert "127.0.0.1 may not connect" in server.log


def test_a_tcp_peer_on_this_machine_is_allowed_unless_something_else_is_said():
    for options in ({}, {"allow_from": ["127.0.0.0/8"]}):
        with RunningServer(tcp=True, **options) as server:
            assert server.get().body == b"hello world"


def test_a_stop_finishes_what_runs_and_begins_nothing_new():
    with RunningServer() as server, server.connect() as connection, server.connect() as idle:
        idle.send(wire.request(1, wire.cgi_params(), keep_conn=True))
        idle.response(1)
        values = wire.cgi_params(path="/wait", query="key=stop")
        connection.send(wire.request(1, values, keep_conn=True))
        server.wait_noted("stop", "waiting")
        server.terminate()
        idle.wait_closed()
        server.release("stop")
        assert connection.response(1).body == b"waited stop"
        connection.wait_closed()
        assert server.process.wait(20) == 0


def test_a_stop_cuts_what_runs_longer_than_it_may():
    with RunningServer(graceful_timeout_seconds=0.2) as server, server.connect() as connection:
        values = wire.cgi_params(path="/until_aborted", query="key=cut")
        connection.send(wire.request(1, values, keep_conn=True))
        server.wait_noted("cut", "waiting")
        server.terminate()
        connection.wait_closed()
        assert server.process.wait(20) == 0
