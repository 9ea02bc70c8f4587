"""gfcgi.server.server: stopping finishes what runs, loses nobody, and takes a bounded time."""

from __future__ import annotations

import time

import gevent
import gevent.event
import pytest
import webserver_side as wire
from wsgi_side import Gate, begin, echo, hello

from gfcgi import limits
from gfcgi.server import Server

GET = wire.request(1, wire.cgi_params(), keep_conn=True)


def test_serve_returns_after_stop_and_nobody_can_connect_any_more(serving):
    with serving(hello) as site:
        assert site.ask().body == b"hello"
        site.server.stop()
        site.server.stop()
        site.greenlet.get()
        with pytest.raises(ConnectionRefusedError):
            site.connect()


def test_a_stop_before_serve_ends_it_at_once(listen):
    server = Server(hello, [listen()])
    server.stop()
    server.serve()


def test_idle_kept_connections_are_closed(serving):
    with serving(hello) as site, site.connect() as connection:
        connection.send(GET)
        connection.response()
        site.server.stop()
        connection.wait_closed()
        site.greenlet.get()


def test_a_request_that_is_on_its_way_on_a_kept_connection_is_answered(serving):
    """The Web server cannot know yet that the server stops; nginx answers 502 to a POST then."""
    with serving(hello) as site, site.connect() as connection:
        connection.send(GET)
        connection.response()
        site.server.stop()
        gevent.sleep(0.1)
        connection.send(GET)
        assert connection.response().body == b"hello"
        connection.wait_closed()
        site.greenlet.get()


def test_after_a_stop_a_kept_connection_has_one_request_more(serving):
    """It is closed behind that one's end, not left for a while once more."""
    gate = Gate()
    with serving(gate, graceful_timeout_seconds=60.0) as site, site.connect() as connection:
        connection.send(GET)
        gate.begun.wait()
        site.server.stop()
        gevent.sleep(0.05)
        gate.open.set()
        connection.response()
        began = time.monotonic()
        connection.wait_closed()
        assert time.monotonic() - began < limits.KEPT_GRACE_SECONDS


def test_a_short_graceful_time_is_kept_where_connections_are_idle(serving, caplog):
    with serving(hello, graceful_timeout_seconds=0.2) as site, site.connect() as connection:
        connection.send(GET)
        connection.response()
        site.server.stop()
        connection.wait_closed()
        site.greenlet.get()
    assert not caplog.records


def test_a_request_that_has_arrived_unread_on_an_idle_connection_is_answered(serving):
    with serving(hello) as site, site.connect() as connection:
        connection.send(GET)
        connection.response()
        connection.send(GET)
        site.server.stop()  # before the server has had a turn to read
        assert connection.response().body == b"hello"
        connection.wait_closed()


def test_running_requests_finish_and_their_connections_are_closed(serving):
    gate = Gate()
    with serving(gate) as site, site.connect() as kept, site.connect() as multiplexed:
        kept.send(GET)
        multiplexed.send(begin(1), wire.stdin(1, b""), begin(2), wire.stdin(2, b""))
        gate.begun.wait()
        site.server.stop()
        gevent.sleep(0.01)
        gate.open.set()
        assert kept.response().body == b"through"
        assert multiplexed.response(1).body == b"through"
        assert multiplexed.response(2).body == b"through"
        kept.wait_closed()
        multiplexed.wait_closed()
        site.greenlet.get()


@pytest.mark.parametrize(
    ("software", "status"),
    [("HAProxy 2.6.12", wire.CANT_MPX_CONN), ("tests", wire.REQUEST_COMPLETE)],
)
def test_haproxy_is_told_to_send_nothing_more_on_a_connection_that_is_to_end(
    serving, until, software, status
):
    """What ran at the stop and what begins after it is answered; each answer says it."""
    gate = Gate()

    def application(environ, start_response):
        return (gate if environ["PATH_INFO"] == "/slow" else hello)(environ, start_response)

    with serving(application) as site, site.connect() as connection:
        connection.send(
            begin(1, path="/slow", SERVER_SOFTWARE=software),
            wire.stdin(1, b""),
            begin(2, SERVER_SOFTWARE=software),
            wire.stdin(2, b""),
        )
        before = connection.response(2)
        assert (before.body, before.protocol_status) == (b"hello", wire.REQUEST_COMPLETE)
        gate.begun.wait()
        site.server.stop()
        gevent.sleep(0.01)
        connection.send(begin(3, SERVER_SOFTWARE=software), wire.stdin(3, b""))
        late = connection.response(3)
        assert (late.status, late.body, late.protocol_status) == (200, b"hello", status)
        gate.open.set()
        slow = connection.response(1)
        assert (slow.status, slow.body, slow.protocol_status) == (200, b"through", status)
        connection.wait_closed()
        site.greenlet.get()


def test_the_answer_to_a_request_that_is_alone_says_nothing_of_the_stop(serving):
    gate = Gate()
    with serving(gate) as site, site.connect() as connection:
        connection.send(begin(SERVER_SOFTWARE="HAProxy 2.6.12"), wire.stdin(1, b""))
        gate.begun.wait()
        site.server.stop()
        gevent.sleep(0.01)
        gate.open.set()
        assert connection.response().protocol_status == wire.REQUEST_COMPLETE
        connection.wait_closed()


def test_a_body_that_is_on_its_way_is_still_read(serving):
    with serving(echo) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b"first", end=False))
        site.ask("POST")
        site.server.stop()
        gevent.sleep(0.01)
        connection.send(wire.stdin(1, b" second"))
        assert connection.response().body == b"first second"
        site.greenlet.get()


def test_a_request_that_had_begun_to_arrive_is_answered(serving, until):
    with serving(hello) as site, site.connect() as connection:
        connection.send(GET[:40])
        until(lambda: site.server.connections and site.only_connection.core.in_record)
        site.server.stop()
        gevent.sleep(0.01)
        connection.send(GET[40:])
        assert connection.response().body == b"hello"
        connection.wait_closed()
        site.greenlet.get()


@pytest.mark.parametrize("early", [True, False], ids=["sent", "sent after the stop"])
def test_connections_queued_in_the_backlog_are_answered(serving, early):
    with serving(hello) as site:
        site.server.stop()  # what runs first is the stop, with all of these still queued
        connections = [site.connect() for _ in range(5)]
        if early:
            for connection in connections:
                connection.send(GET)
        if not early:
            gevent.sleep(0.01)
            for connection in connections:
                connection.send(GET)
        assert [connection.response().body for connection in connections] == [b"hello"] * 5
        site.greenlet.get()


def test_connections_are_accepted_after_a_stop_as_long_as_they_are_expected(serving):
    gone = gevent.event.Event()
    with serving(hello, still_expected=lambda: not gone.is_set()) as site:
        site.server.stop()
        for _ in range(3):
            assert site.ask().body == b"hello"
        last = site.connect()
        gone.set()
        last.send(GET)
        assert last.response().body == b"hello"
        site.greenlet.get()
        with pytest.raises(ConnectionRefusedError):
            site.connect()


def test_a_web_server_that_asks_for_values_after_a_stop_has_its_request_answered(serving):
    """As HAProxy does on each new connection; it sends the requests when it has the answer."""
    gone = gevent.event.Event()
    with serving(hello, still_expected=lambda: not gone.is_set()) as site:
        site.server.stop()
        connection = site.connect()
        gone.set()
        connection.send(wire.get_values("FCGI_MPXS_CONNS"))
        connection.read_any()
        connection.send(GET)
        assert connection.response().body == b"hello"
        connection.wait_closed()
        site.greenlet.get()


def test_more_queued_connections_than_may_be_open_do_not_hold_the_stop_up(serving):
    with serving(hello, max_connections=2) as site:
        site.server.stop()
        connections = [site.connect() for _ in range(4)]
        for connection in connections:
            connection.send(GET)
        assert [connection.response().body for connection in connections[:2]] == [b"hello"] * 2
        site.greenlet.get()


def test_a_connection_that_never_says_anything_does_not_hold_the_stop_up(serving, until):
    with serving(hello) as site, site.connect() as connection:
        until(lambda: site.server.connections)
        site.server.stop()
        connection.wait_closed()
        site.greenlet.get()


@pytest.mark.parametrize("where", ["sleep", "read", "write"])
def test_what_still_runs_after_the_graceful_time_is_cut(serving, caplog, where):
    def application(environ, start_response):
        write = start_response("200 OK", [])
        if where == "sleep":
            gevent.sleep(600)
        elif where == "read":
            environ["wsgi.input"].read()
        else:
            write(b"x" * 10_000_000)

    gate = Gate(application)
    with (
        serving(gate, graceful_timeout_seconds=0.05) as site,
        site.connect() as connection,
        site.connect() as in_params,
    ):
        connection.send(begin())
        in_params.send(wire.begin_request(1))
        gate.begun.wait()
        site.server.stop()
        site.greenlet.get()
        assert gate.ended.is_set()
        assert gate.environ["gfcgi.aborted"].is_set()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == "still running after 0.05 seconds, and cut: GET /"


def test_who_has_not_sent_a_whole_request_is_cut_too(serving, until, caplog):
    with serving(hello, graceful_timeout_seconds=0.05) as site, site.connect() as connection:
        connection.send(wire.begin_request(1))
        until(lambda: site.server.connections and site.only_connection.core.receiving_params)
        site.server.stop()
        site.greenlet.get()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.endswith("and cut: connections without a whole request")


def test_of_many_requests_that_are_cut_some_are_named(serving, caplog):
    gate = Gate()
    with serving(gate, graceful_timeout_seconds=0.05) as site, site.connect() as connection:
        for request_id in range(1, 13):
            connection.send(begin(request_id, path=f"/{request_id}"))
        gate.begun.wait()
        site.server.stop()
        site.greenlet.get()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.count("GET /") == 10
    assert line.endswith(" and 2 more")


def test_an_application_that_will_not_die_cannot_keep_the_server(serving, caplog):
    ended = []

    def application(environ, start_response):
        for _ in range(2):
            try:
                gevent.sleep(2)
            except gevent.GreenletExit:
                ended.append("survived")

    gate = Gate(application)
    with serving(gate, graceful_timeout_seconds=0.05) as site, site.connect() as connection:
        connection.send(GET)
        gate.begun.wait()
        site.server.stop()
        site.greenlet.get()
        assert ended == ["survived"]
        assert not gate.ended.is_set()
        gate.ended.wait()


def test_a_request_that_was_aborted_but_still_runs_is_waited_for(serving):
    gate = Gate()
    with serving(gate) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        gate.begun.wait()
        connection.send(wire.abort_request(1))
        connection.response()
        connection.close()
        site.server.stop()
        gevent.sleep(0.01)
        assert not site.greenlet.ready()
        gate.open.set()
        site.greenlet.get()


def test_a_listener_that_leaves_accepting_to_others_is_emptied_too(serving):
    with serving(hello, multiprocess=True) as site:
        site.server.stop()
        connections = [site.connect() for _ in range(3)]
        for connection in connections:
            connection.send(GET)
        assert [connection.response().body for connection in connections] == [b"hello"] * 3
