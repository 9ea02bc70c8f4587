"""gfcgi.server.server: a new connection has room as long as another one is idle."""

from __future__ import annotations

import errno
import os
import resource
import socket

import gevent
import pytest
import webserver_side as wire
from wsgi_side import Gate, begin, hello

GET = wire.request(1, wire.cgi_params(), keep_conn=True)


def kept(site):
    """A connection that has had one answer and is idle."""
    connection = site.connect()
    connection.send(GET)
    assert connection.response().body == b"hello"
    return connection


def is_open(connection) -> bool:
    connection.send(GET)
    try:
        return bool(connection.response().body == b"hello")
    except (ConnectionError, wire.WireError):
        return False


def gate_at(path, gate):
    return lambda environ, start_response: (gate if environ["PATH_INFO"] == path else hello)(
        environ, start_response
    )


def test_the_connection_that_is_idle_longest_is_closed_for_a_new_one(serving, caplog):
    with serving(hello, max_connections=3) as site:
        idle = [kept(site) for _ in range(3)]
        assert is_open(idle[0])  # so the second one is idle longest
        assert site.ask().body == b"hello"
        idle[1].wait_closed()
        assert is_open(idle[0])
        assert is_open(idle[2])
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == (
        "3 connections are open (max_connections): the connection that was idle longest made room"
    )


def test_many_more_web_servers_that_keep_their_connections_are_all_answered(serving):
    """As Apache's children do with enablereuse."""
    with serving(hello, max_connections=10) as site:
        for _ in range(100):
            kept(site)
            assert site.server.connections <= 10


def test_no_busy_connection_is_closed(serving, until, caplog):
    gate = Gate()
    with serving(gate_at("/busy", gate), max_connections=2) as site:
        busy = [site.connect() for _ in range(2)]
        for connection in busy:
            connection.send(begin(path="/busy"), wire.stdin(1, b""))
        until(lambda: site.server.active_requests == 2)
        waiting = site.connect()
        waiting.send(GET)
        reading = gevent.spawn(waiting.response)
        until(lambda: caplog.records)
        gevent.sleep(0.2)
        assert not reading.ready()
        assert site.server.connections == 2
        gate.open.set()
        assert {connection.response().body for connection in busy} == {b"through"}
        # Both are idle now, and kept.
        assert reading.get().body == b"hello"
    lines = [record.getMessage() for record in caplog.records]
    assert "2 connections are open (max_connections) and none is idle: new ones wait" in lines
    assert len(lines) == 2


def test_a_connection_too_many_is_served_as_soon_as_a_busy_one_is_closed(serving, until):
    gate = Gate()
    with serving(gate_at("/busy", gate), max_connections=1) as site:
        busy = site.connect()
        busy.send(begin(path="/busy"))
        gate.begun.wait()
        waiting = site.connect()
        waiting.send(GET)
        reading = gevent.spawn(waiting.response)
        gevent.sleep(0.01)
        assert not reading.ready()
        busy.close()
        assert reading.get().body == b"hello"
        gate.open.set()


@pytest.mark.parametrize(
    "sent", [GET, GET[:3], wire.begin_request(1, keep_conn=True)], ids=["whole", "header", "part"]
)
def test_no_connection_whose_next_request_is_on_its_way_is_closed(serving, until, sent):
    with serving(hello, max_connections=2) as site:
        idle = [kept(site) for _ in range(2)]
        new = site.connect()
        # The kernel has these bytes; the server reads them, or looks for room, whichever is first.
        os.write(idle[0].socket.fileno(), sent)
        new.send(GET)
        assert new.response().body == b"hello"
        idle[1].wait_closed()
        idle[0].send(GET[len(sent) :])
        assert idle[0].response().body == b"hello"


def test_who_has_just_connected_is_not_closed_for_the_next(serving, until):
    with serving(hello, max_connections=2) as site:
        idle = kept(site)
        fresh = site.connect()
        until(lambda: site.server.connections == 2)
        assert site.ask().body == b"hello"
        idle.wait_closed()
        fresh.send(GET)
        assert fresh.response().body == b"hello"


def test_who_has_its_answer_and_does_not_close_makes_room(serving, until):
    with serving(hello, max_connections=2) as site:
        answered = site.connect()
        answered.send(wire.request(1, wire.cgi_params()))
        assert answered.response().body == b"hello"
        idle = kept(site)
        assert site.ask().body == b"hello"
        assert is_open(idle)


def test_those_that_wait_when_the_server_stops_have_the_room_of_idle_ones(serving):
    with serving(hello, max_connections=2) as site:
        for _ in range(2):
            kept(site)
        site.server.stop()
        waiting = [site.connect() for _ in range(2)]
        for connection in waiting:
            connection.send(GET)
        assert [connection.response().body for connection in waiting] == [b"hello"] * 2


def test_several_listeners_share_the_room(listen, until):
    from gfcgi.options import Options
    from gfcgi.server import Server

    listeners = [listen(), listen()]
    server = Server(hello, listeners, Options(max_connections=1))
    serving = gevent.spawn(server.serve)
    opened = []
    for listener in listeners * 3:
        sock = gevent.socket.socket(socket.AF_UNIX)
        sock.connect(listener.getsockname())
        opened.append(wire.TransportConnection(sock))
        opened[-1].send(GET)
        assert opened[-1].response().body == b"hello"
        assert server.connections == 1
    for connection in opened:
        connection.close()
    server.stop()
    serving.get()


# -- descriptors


@pytest.fixture
def no_descriptor_left():
    """A function that leaves no descriptor free for this process, until the end of the test."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def leave_none():
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))

    yield leave_none
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_an_idle_connection_gives_its_descriptor_to_a_new_one(serving, no_descriptor_left, caplog):
    with serving(hello) as site:
        idle = [kept(site) for _ in range(3)]
        new = site.connect()
        no_descriptor_left()
        new.send(GET)
        assert new.response().body == b"hello"
        idle[0].wait_closed()
        assert is_open(idle[1])
    (line,) = [record.getMessage() for record in caplog.records]
    assert "Too many open files" in line
    assert line.endswith("the connection that was idle longest made room")


def test_where_no_connection_is_idle_the_next_end_of_one_gives_its_descriptor(
    serving, monkeypatch, until, caplog
):
    gate = Gate()
    accept = socket.socket._accept

    with serving(gate_at("/busy", gate)) as site:

        def failing(self):
            if site.server.connections:
                raise OSError(errno.EMFILE, "Too many open files")
            return accept(self)

        monkeypatch.setattr(socket.socket, "_accept", failing)
        busy = site.connect()
        busy.send(begin(path="/busy"))
        gate.begun.wait()
        waiting = site.connect()
        waiting.send(GET)
        until(lambda: "cannot accept" in caplog.text)
        busy.close()
        with gevent.Timeout(0.9):  # it would look again after a second anyway
            assert waiting.response().body == b"hello"
        gate.open.set()
