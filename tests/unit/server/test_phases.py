"""gfcgi.server.phases: the life of a transport connection has one direction and one end."""

from __future__ import annotations

import webserver_side as wire
from wsgi_side import Gate, begin, hello

from gfcgi import limits
from gfcgi.server.phases import TRANSITIONS, Phase


def test_every_phase_is_in_the_table():
    assert set(TRANSITIONS) == set(Phase)


def test_no_phase_comes_back():
    for phase, following in TRANSITIONS.items():
        assert all(after > phase for after in following)


def test_every_life_ends_with_the_socket_closed_and_only_after_everything_was_given_up():
    for phase, following in TRANSITIONS.items():
        if phase is Phase.CLOSED:
            assert not following
        else:
            assert (Phase.CLOSED if phase is Phase.GIVEN_UP else Phase.GIVEN_UP) in following


def test_a_connection_goes_through_them_as_the_table_says(serving, until):
    """Every change that can be seen from outside: open, draining, lingering, and the end of it."""
    gate = Gate()
    with serving(gate) as site, site.connect() as connection:
        connection.send(begin(keep_conn=False))
        gate.begun.wait()
        served = site.only_connection
        seen = [served.phase]
        served.drain()
        seen.append(served.phase)
        gate.open.set()
        assert connection.response().body == b"through"
        until(lambda: served.phase is Phase.LINGERING)
        seen.append(served.phase)
        connection.close()
        until(lambda: served.phase is Phase.CLOSED)
    assert seen == [Phase.OPEN, Phase.DRAINING, Phase.LINGERING]


def test_a_connection_that_is_given_up_while_a_write_waits_closes_behind_the_writer(serving, until):
    def application(environ, start_response):
        start_response("200 OK", [])(b"x" * 10_000_000)

    gate = Gate(application)
    with serving(gate) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        until(lambda: site.server.connections and site.only_connection.write_blocked)
        served = site.only_connection
        served.cut()
        assert served.phase is Phase.GIVEN_UP
        served.cut()
        served.drain()
        assert served.phase is Phase.GIVEN_UP
        until(lambda: served.phase is Phase.CLOSED)
        gate.ended.wait()


def test_a_stop_ends_a_connection_that_lingers_for_nothing(serving, until, monkeypatch):
    monkeypatch.setattr(limits, "LINGER_SECONDS", 1000)
    with serving(hello) as site, site.connect() as connection:
        connection.send(begin(keep_conn=False))
        assert connection.response().body == b"hello"
        until(lambda: site.only_connection.phase is Phase.LINGERING)
        site.server.stop()
        site.greenlet.get()
