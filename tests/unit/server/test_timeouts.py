"""gfcgi.server.connection: what takes too long is given up, and nothing else is.

The bounds are small, and what must not expire lasts many of the rounds in which the server looks.
"""

from __future__ import annotations

import gevent
import pytest
import webserver_side as wire
from wsgi_side import Gate, begin, echo, hello

from gfcgi import limits
from gfcgi.errors import RequestAborted

SHORT = 0.05
"""Seconds of the bound under test."""

LONG = b"x" * 4_000_000
"""More than the sockets' buffers hold."""


def outlast() -> None:
    """Let many times ``SHORT`` pass."""
    gevent.sleep(SHORT * 6)


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
        until(lambda: site.server.connections and site.only_connection._full_streams)
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
        until(lambda: site.server.connections and site.only_connection._params_since)
        following = wire.stdin(1, b"end")
        connection.send(rest[3:], following[:3])
        until(lambda: site.only_connection._full_streams)
        gevent.sleep(0.8)
        gate.open.set()
        gevent.sleep(0.2)
        connection.send(following[3:])
        assert connection.response().body == b"x" * 5000 + b"end"


# -- idle


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
        waiting_since = site.only_connection._requests[1].waiting_since
        gevent.sleep(SHORT)
        connection.send(begin(2), wire.stdin(2, b""))
        assert connection.response(2).body == b"hello"
        site.only_connection.expire(waiting_since + 999.9)
        assert not gate.ended.is_set()
        site.only_connection.expire(waiting_since + 1000.01)
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
            received += len(connection.socket.recv(1_000_000))


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
