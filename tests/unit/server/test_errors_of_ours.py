"""gfcgi.server: an error inside the server costs the connection that it comes from, and no other.

Each test puts an error into one place that the hub calls, for one connection of two. Errors such as
these are real: for want of memory, or on a system that lacks a name of the socket module.
"""

from __future__ import annotations

import contextlib

import gevent
import pytest
import webserver_side as wire
from wsgi_side import Gate, begin, hello

from gfcgi.server import server as module
from gfcgi.server import transport
from gfcgi.server.greenlets import Greenlets
from gfcgi.server.reports import Reports

GET = wire.request(1, wire.cgi_params(), keep_conn=True)
SHORT = 0.05


class Broken(Exception):
    """Nobody expects it."""


@pytest.fixture
def breaking(monkeypatch):
    """A function that makes a method of a class raise; it returns the list of such calls."""

    def breaking(owner, name, times=1000):
        real = getattr(owner, name)
        raised = []

        def broken(self, *values, **named):
            if len(raised) < times:
                raised.append(values)
                raise Broken("on purpose")
            return real(self, *values, **named)

        monkeypatch.setattr(owner, name, broken)
        return raised

    return breaking


@pytest.fixture
def two(serving):
    """A context manager: a site, a connection with a running request and one more, both open."""

    @contextlib.contextmanager
    def two(**options):
        gate = Gate()

        def application(environ, start_response):
            if environ["PATH_INFO"] == "/gate":
                return gate(environ, start_response)
            return hello(environ, start_response)

        with serving(application, **options) as site, site.connect() as good, site.connect() as bad:
            good.send(begin(path="/gate"), wire.stdin(1, b""))
            gate.begun.wait()
            yield site, bad
            gate.open.set()
            assert good.response().body == b"through"
            assert site.ask().body == b"hello"

    return two


def lines(caplog):
    return [record for record in caplog.records if "an error in gfcgi itself" in record.message]


def test_an_error_while_reading(two, monkeypatch, caplog):
    class Socket(module._kernel_socket):
        broken = False

        def recv(self, *values):
            if self.broken:
                raise MemoryError
            return super().recv(*values)

    monkeypatch.setattr(module, "_kernel_socket", Socket)
    with two() as (_, bad):
        bad.send(GET)
        assert bad.response().body == b"hello"
        Socket.broken = True
        bad.send(GET)
        bad.wait_closed()
        Socket.broken = False
    (line,) = lines(caplog)
    assert "UNIX socket, pid" in line.getMessage()
    assert line.exc_info[0] is MemoryError


def test_an_error_while_a_request_begins(two, breaking, monkeypatch, caplog):
    with two() as (_, bad):
        raised = breaking(Greenlets, "start")
        bad.send(begin(1), wire.stdin(1, b""))
        bad.wait_closed()
        assert len(raised) == 1
        monkeypatch.undo()
    assert len(lines(caplog)) == 1


def test_an_error_in_what_is_done_beside_ends_and_is_said_once(two, breaking, monkeypatch, caplog):
    """A connection that is refused, where the refusal itself fails: not again, and not for ever."""
    with two() as (_, bad):
        raised = breaking(Reports, "protocol_error")
        bad.send(wire.record(wire.STDIN, 1, version=9))
        bad.wait_closed()
        gevent.sleep(SHORT)
        assert len(raised) == 1
        monkeypatch.undo()
    assert len(lines(caplog)) == 1


def test_an_error_at_the_end_of_a_connection(two, breaking, monkeypatch, caplog, until):
    with two() as (site, bad):
        raised = breaking(Reports, "protocol_error")
        bad.send(wire.begin_request(1)[:5])
        bad.close()
        until(lambda: site.server.connections == 1)
        assert len(raised) == 1
        monkeypatch.undo()
    assert len(lines(caplog)) == 1


def test_an_error_in_the_periodic_check_keeps_the_timeouts_of_the_others(
    two, breaking, monkeypatch, caplog
):
    with two(params_timeout_seconds=SHORT) as (site, bad):
        raised = breaking(Reports, "expired", times=1)
        with site.connect() as also:
            bad.send(wire.begin_request(1))
            also.send(wire.begin_request(1))
            bad.wait_closed()
            also.wait_closed()
        assert len(raised) == 1
        monkeypatch.undo()
    assert len(lines(caplog)) == 1


def test_an_error_while_a_connection_is_made(two, monkeypatch, caplog):
    with two() as (site, _):

        def broken(*values, **named):
            raise Broken("on purpose")

        with monkeypatch.context() as patch:
            patch.setattr(module, "Connection", broken)
            with site.connect() as unlucky:
                unlucky.wait_closed()
    assert len(lines(caplog)) == 1


def test_errors_of_ours_are_said_at_a_bounded_rate(serving, breaking, monkeypatch, caplog):
    with serving(hello) as site:
        breaking(Reports, "protocol_error")
        for _ in range(100):
            with site.connect() as connection:
                connection.send(wire.record(wire.STDIN, 1, version=9))
                connection.wait_closed()
        monkeypatch.undo()
        assert site.ask().body == b"hello"
    assert 20 <= len(lines(caplog)) < 60


def test_where_even_the_peer_cannot_be_named_the_connection_is_closed(two, monkeypatch, caplog):
    """As on systems without SO_PEERCRED."""

    def nameless(*values):
        raise AttributeError("SO_PEERCRED")

    monkeypatch.setattr(transport, "peer_credentials", nameless)
    with two() as (_, bad):
        bad.send(wire.record(wire.STDIN, 1, version=9))
        bad.wait_closed()
    (line,) = lines(caplog)
    assert line.getMessage().startswith("a Web server: ")
    assert line.exc_info[0] is AttributeError
