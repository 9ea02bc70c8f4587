"""gfcgi.server.connection: what takes too long is given up, and nothing else is.

The bounds are small, and what must not expire lasts many of the rounds in which the server looks.
"""

from __future__ import annotations

import os
import time

import gevent
import pytest
import webserver_side as wire
from wsgi_side import Gate, begin, echo, hello

from gfcgi import limits
from gfcgi.errors import RequestAborted
from gfcgi.server.phases import Phase

SHORT = 0.05
"""Seconds of the bound under test."""

LONG = b"x" * 4_000_000
"""More than the sockets' buffers hold."""


def outlast() -> None:
    """Let many times ``SHORT`` pass."""
    gevent.sleep(SHORT * 6)


def send_on(connection, content) -> None:
    """Send the same again and again, steadily, until the connection is gone."""
    while True:
        connection.send(content)
        gevent.sleep(SHORT / 2)


# -- PARAMS


@pytest.mark.parametrize(
    "content",
    [
        wire.begin_request(1)[:5],
        wire.begin_request(1),
        wire.begin_request(1) + wire.params(1, {"A": "b"}, end=False),
        wire.begin_request(1) + wire.params(1, {"A": "b"})[:9],
    ],
    ids=["header", "begun", "not ended", "in a record"],
)
def test_params_that_stay_incomplete_end_the_connection(serving, caplog, content):
    with (
        serving(hello, params_timeout_seconds=SHORT) as site,
        site.connect() as connection,
    ):
        connection.send(content)
        connection.wait_closed()
    (record,) = caplog.records
    assert "PARAMS have been incomplete" in record.getMessage()
    assert "UNIX socket, pid" in record.getMessage()


def test_params_that_dribble_in_are_given_up_too(serving):
    with (
        serving(hello, params_timeout_seconds=SHORT) as site,
        site.connect() as connection,
    ):

        def dribble():
            while True:
                connection.send(wire.params(1, {"A": "b"}, end=False))
                gevent.sleep(SHORT / 10)

        connection.send(wire.begin_request(1))
        with pytest.raises(ConnectionError):
            dribble()


def test_the_time_for_params_begins_anew_with_each_request(serving):
    with (
        serving(hello, params_timeout_seconds=SHORT) as site,
        site.connect() as connection,
    ):
        for _ in range(3):
            connection.send(begin(), wire.stdin(1, b""))
            assert connection.response().body == b"hello"
            outlast()


def test_a_running_request_has_no_bound_on_its_time(serving):
    def application(environ, start_response):
        outlast()
        return hello(environ, start_response)

    short = dict.fromkeys(("params", "idle", "stdin", "stdout"), SHORT)
    options = {f"{name}_timeout_seconds": seconds for name, seconds in short.items()}
    with serving(application, **options) as site, site.connect() as connection:
        connection.send(begin())
        assert connection.response().body == b"hello"


def test_a_header_cut_by_our_own_pause_is_not_the_web_servers_delay(serving, until):
    """The application does not read its body, so neither do we; its next header came in part."""
    gate = Gate(lambda *wsgi: (gate.open.wait(), echo(*wsgi))[1])
    with (
        serving(gate, params_timeout_seconds=SHORT, stdin_buffer_bytes=1000) as site,
        site.connect() as connection,
    ):
        following = wire.stdin(1, b"end")
        connection.send(begin(), wire.stdin(1, b"x" * 5000, end=False), following[:3])
        until(lambda: site.server.connections and site.only_connection.paused)
        outlast()
        gate.open.set()
        connection.send(following[3:])
        assert connection.response().body == b"x" * 5000 + b"end"


def test_the_time_for_a_header_begins_anew_when_we_read_on(serving, until):
    gate = Gate(lambda *wsgi: (gate.open.wait(), echo(*wsgi))[1])
    with (
        serving(gate, params_timeout_seconds=0.6, stdin_buffer_bytes=1000) as site,
        site.connect() as connection,
    ):
        rest = wire.stdin(1, b"x" * 5000, end=False)
        connection.send(begin(), rest[:3])
        until(lambda: site.server.connections and site.only_connection.core.receiving_params)
        following = wire.stdin(1, b"end")
        connection.send(rest[3:], following[:3])
        until(lambda: site.only_connection.paused)
        gevent.sleep(0.8)
        gate.open.set()
        gevent.sleep(0.2)
        connection.send(following[3:])
        assert connection.response().body == b"x" * 5000 + b"end"


def test_of_several_requests_only_the_one_whose_params_are_late_is_refused(serving, caplog):
    gate = Gate()
    with serving(gate, params_timeout_seconds=SHORT) as site, site.connect() as connection:
        connection.send(begin(1), wire.stdin(1, b""))
        gate.begun.wait()
        connection.send(wire.begin_request(2, keep_conn=True), wire.params(2, {"A": "b"})[:11])
        assert connection.response(2).status == 408
        gate.open.set()
        assert connection.response(1).body == b"through"
        # What still comes for it is nobody's.
        connection.send(wire.params(2, {"A": "b"})[11:], begin(3), wire.stdin(3, b""))
        assert connection.response(3).body == b"through"
    (record,) = caplog.records
    assert "PARAMS of request 2 have been incomplete" in record.getMessage()


def test_no_request_is_late_where_every_read_ends_within_the_params_of_another(serving, caplog):
    with serving(hello, params_timeout_seconds=SHORT * 30) as site, site.connect() as connection:
        whole = b"".join(begin(number) + wire.stdin(number, b"") for number in range(1, 41))
        size = len(whole) // 40
        sent = size // 2
        connection.send(whole[:sent])
        while sent < len(whole):
            connection.send(whole[sent : sent + size])
            sent += size
            gevent.sleep(SHORT * 1.5)  # twice the timeout in all
        for number in range(1, 41):
            assert connection.response(number).body == b"hello"
    assert caplog.records == []


# -- the loop stood still


def stand_still():
    """Let nobody have a turn for longer than every timeout."""
    time.sleep(SHORT * 4)


@pytest.mark.parametrize("what", ["params", "record", "first byte", "body", "lingering"])
def test_what_came_while_the_loop_stood_still_came_in_time(serving, until, what, monkeypatch):
    """The application computes, or the process is stopped, for longer than a timeout."""
    monkeypatch.setattr(limits, "LINGER_SECONDS", SHORT)
    gate = Gate(echo)
    application = gate if what == "body" else hello
    short = {"params_timeout_seconds": SHORT, "stdin_timeout_seconds": SHORT}
    with serving(application, **short) as site, site.connect() as connection:
        whole = begin(keep_conn=what != "lingering")
        sent = {"params": 30, "record": 3, "first byte": 0}.get(what, len(whole))
        connection.send(whole[:sent])
        until(lambda: site.server.connections)
        if what == "body":
            gate.begun.wait()
        elif what == "lingering":
            until(lambda: site.only_connection.phase is Phase.LINGERING)
        elif what != "first byte":
            until(lambda: site.only_connection.core.in_record)
        # The kernel takes it, and nobody else has a turn.
        os.write(connection.socket.fileno(), whole[sent:] + wire.stdin(1, b"body", end=False))
        stand_still()
        gevent.sleep(0)
        connection.send(wire.stdin(1, b""))
        assert connection.response().body == (b"body" if what == "body" else b"hello")


def test_what_was_read_while_the_loop_stood_still_was_read_in_time(serving, until):
    gate = Gate(lambda environ, start_response: start_response("200 OK", [])(LONG) or [])
    with serving(gate, stdout_timeout_seconds=SHORT) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        until(lambda: site.server.connections and site.only_connection.write_blocked)
        received = len(os.read(connection.socket.fileno(), len(LONG)))
        stand_still()
        while received < len(LONG):
            piece = connection.socket.recv(len(LONG))
            assert piece
            received += len(piece)
    assert gate.error is None


# -- the first byte


def test_a_connection_that_never_says_anything_has_the_time_of_its_first_params(serving, caplog):
    with serving(hello, params_timeout_seconds=SHORT) as site, site.connect() as connection:
        connection.wait_closed()
    (record,) = caplog.records
    assert "no request has come" in record.getMessage()


def test_a_connection_that_says_nothing_of_use_has_no_more_time(serving):
    with (
        serving(hello, params_timeout_seconds=SHORT * 2) as site,
        site.connect() as connection,
        pytest.raises(ConnectionError),
    ):
        send_on(connection, wire.stdin(9, b""))


@pytest.mark.parametrize("first", ["request", "question"])
def test_a_connection_that_has_said_something_has_the_time_of_an_idle_one(serving, first):
    with serving(hello, params_timeout_seconds=SHORT) as site, site.connect() as connection:
        if first == "request":
            connection.send(begin(), wire.stdin(1, b""))
            connection.response()
        else:
            connection.send(wire.get_values("FCGI_MAX_CONNS"))
            connection.read_any()
        outlast()
        connection.send(begin(), wire.stdin(1, b""))
        assert connection.response().body == b"hello"


# -- idle


def test_an_idle_connection_is_left_alone_until_its_time_has_come(serving):
    """One look when the time of a first byte is over, and the next after idle_timeout_seconds."""
    with serving(hello, params_timeout_seconds=SHORT, stdin_timeout_seconds=SHORT) as site:
        connections = []
        for _ in range(20):
            connection = site.connect()
            connection.send(begin(), wire.stdin(1, b""))
            assert connection.response().body == b"hello"
            connections.append(connection)
        outlast()
        served = list(site.server.open_connections)
        ticks = [connection.tick for connection in served]
        outlast()
        assert [connection.tick for connection in served] == ticks
        seconds = SHORT / 4
        assert min(ticks) * seconds > time.monotonic() + 3000


def test_an_idle_kept_connection_is_closed_without_a_word(serving, caplog):
    with (
        serving(hello, idle_timeout_seconds=SHORT) as site,
        site.connect() as connection,
    ):
        connection.send(begin(), wire.stdin(1, b""))
        assert connection.response().body == b"hello"
        connection.wait_closed()
    assert caplog.records == []


def test_a_connection_that_says_nothing_is_closed(serving):
    with serving(hello, idle_timeout_seconds=SHORT) as site, site.connect() as connection:
        connection.wait_closed()


@pytest.mark.parametrize(
    "content",
    [wire.record(wire.STDIN, 9, b"x" * 1000)[:500], wire.record(77, 0, b"x" * 100)[:50]],
    ids=["for nobody", "management"],
)
def test_a_record_that_stops_midway_ends_the_connection(serving, caplog, content):
    with (
        serving(hello, params_timeout_seconds=SHORT) as site,
        site.connect() as connection,
    ):
        connection.send(begin(), wire.stdin(1, b""))
        assert connection.response().body == b"hello"
        connection.send(content)
        connection.wait_closed()
    assert len(caplog.records) == 1
    assert "incomplete" in caplog.text


# -- STDIN


def test_a_body_that_does_not_come_on_fails_the_read_and_is_answered(serving, caplog):
    gate = Gate(echo)
    with serving(gate, stdin_timeout_seconds=SHORT) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b"part", end=False))
        response = connection.response()
        assert response.status == 408
        assert isinstance(gate.error, RequestAborted)
        connection.send(begin(2), wire.stdin(2, b"next"))
        assert connection.response(2).body == b"next"
    assert "no body has come" in caplog.text


def test_a_file_of_a_filter_that_does_not_come_on_fails_too(serving):
    gate = Gate(lambda environ, start_response: environ["gfcgi.data"].read())
    with serving(gate, stdin_timeout_seconds=SHORT) as site, site.connect() as connection:
        connection.send(begin(role=wire.FILTER), wire.stdin(1, b""))
        assert connection.response().status == 408


def test_a_slow_body_that_does_come_on_is_received(serving):
    with serving(echo, stdin_timeout_seconds=SHORT * 2) as site, site.connect() as connection:
        connection.send(begin())
        for _ in range(10):
            connection.send(wire.stdin(1, b"x", end=False))
            gevent.sleep(SHORT / 2)
        connection.send(wire.stdin(1, b""))
        assert connection.response().body == b"x" * 10


def test_a_body_is_given_up_however_busy_its_connection_is(serving, until):
    gate = Gate(echo)

    def application(environ, start_response):
        return (gate if environ["PATH_INFO"] == "/body" else hello)(environ, start_response)

    with serving(application, stdin_timeout_seconds=1000) as site, site.connect() as connection:
        connection.send(begin(1, path="/body"))
        gate.begun.wait()
        waiting_since = site.only_connection.requests[1].waiting_since
        gevent.sleep(SHORT)
        connection.send(begin(2), wire.stdin(2, b""))
        assert connection.response(2).body == b"hello"
        site.only_connection.check_timeouts(waiting_since + 999.9)
        assert not gate.ended.is_set()
        site.only_connection.check_timeouts(waiting_since + 1000.01)
        assert connection.response(1).status == 408


# -- STDOUT


def test_a_web_server_that_does_not_read_is_given_up(serving, caplog):
    def write_long(environ, start_response):
        start_response("200 OK", [])(LONG)

    gate = Gate(write_long)
    with serving(gate, stdout_timeout_seconds=SHORT) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        gate.ended.wait()
        assert isinstance(gate.error, RequestAborted)
        site.until_idle()
    assert len(caplog.records) == 1
    assert "has not read" in caplog.text


def test_a_slow_reader_that_does_come_on_gets_everything(serving):
    def application(environ, start_response):
        start_response("200 OK", [])
        return [LONG]

    with (
        serving(application, stdout_timeout_seconds=SHORT * 4) as site,
        site.connect() as connection,
    ):
        connection.send(begin(), wire.stdin(1, b""))
        received = 0
        for _ in range(12):
            received += len(connection.socket.recv(150_000))
            gevent.sleep(SHORT)
        while received < len(LONG):
            piece = connection.socket.recv(1_000_000)
            assert piece, "the connection was given up"
            received += len(piece)


# -- lingering


def test_a_web_server_that_neither_sends_on_nor_closes_is_left(serving, monkeypatch):
    monkeypatch.setattr(limits, "LINGER_SECONDS", SHORT)
    with serving(hello) as site, site.connect() as connection:
        connection.send(begin(keep_conn=False), wire.stdin(1, b"x", end=False))
        assert connection.response().body == b"hello"
        site.until_idle()


def test_a_web_server_that_still_sends_is_waited_for(serving, monkeypatch):
    monkeypatch.setattr(limits, "LINGER_SECONDS", SHORT * 2)
    with serving(hello) as site, site.connect() as connection:
        connection.send(begin(keep_conn=False))
        assert connection.response().body == b"hello"
        for _ in range(10):
            connection.send(wire.stdin(1, b"x" * 1000, end=False))
            gevent.sleep(SHORT / 2)
        assert site.server.connections == 1
        site.until_idle()


def test_a_web_server_that_sends_on_for_ever_is_left_in_the_end(serving, monkeypatch):
    monkeypatch.setattr(limits, "LINGER_TOTAL_SECONDS", SHORT * 4)
    with serving(hello) as site, site.connect() as connection:
        connection.send(begin(keep_conn=False))
        assert connection.response().body == b"hello"
        with pytest.raises(ConnectionError):
            send_on(connection, wire.stdin(1, b"x", end=False))
        site.until_idle()


def test_a_record_for_nobody_that_dribbles_in_is_given_up(serving, caplog):
    with serving(hello, params_timeout_seconds=SHORT * 2) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        assert connection.response().body == b"hello"
        connection.send(wire.record(wire.STDIN, 9, b"x" * 60_000)[:8])
        with pytest.raises(ConnectionError):
            send_on(connection, b"x")
    assert "a record has been incomplete" in caplog.text
