"""gfcgi.server.line: where as many requests run as may, the next ones wait in order, not for ever.

What holds for greenlets and for threads is tried with both.
"""

from __future__ import annotations

import os
import socket
import time

import gevent
import pytest
import webserver_side as wire
from running.site import ways_to_wait
from wsgi_side import begin, echo, hello

from gfcgi import limits

GET = begin(keep_conn=False) + wire.stdin(1, b"")

SHORT = 0.1
"""Seconds of the bound under test."""

ONE_PLACE = {"greenlets": {"max_concurrent_requests": 1}, "threads": {"threads": 1}}


class Doors:
    """An application of which each request notes its path, and waits until it is let on."""

    def __init__(self, event, run=hello):
        self.event, self.run = event, run
        self.called = []
        self.doors = []
        self.open = event()
        """Lets everybody on."""

    def __call__(self, environ, start_response):
        door = self.event()
        self.doors.append(door)
        self.called.append(environ["PATH_INFO"])
        while not (door.is_set() or self.open.is_set()):
            door.wait(0.005)
        return self.run(environ, start_response)


@pytest.fixture(params=ONE_PLACE)
def one_place(request):
    """Options for one request at a time, and an application that waits accordingly."""
    event, _ = ways_to_wait(threads=request.param == "threads")
    return ONE_PLACE[request.param], lambda run=hello: Doors(event, run)


def ask(site, path="/", method="GET", **connecting):
    connection = site.connect(**connecting)
    connection.send(wire.request(1, wire.cgi_params(method, path)))
    return connection


def in_line(site, count):
    return lambda: site.server.waiting_requests == count


# -- in line


def test_the_next_requests_wait_in_their_order_over_all_connections(serving, until, one_place):
    options, doors = one_place
    application = doors()
    with serving(application, **options) as site:
        shared = site.connect()
        shared.send(wire.request(1, wire.cgi_params(path="/1"), keep_conn=True))
        until(lambda: application.called)
        asked = []
        for number in range(2, 8):
            if number % 3:
                asked.append((ask(site, f"/{number}"), 1))
            else:
                path = wire.cgi_params(path=f"/{number}")
                shared.send(wire.request(number, path, keep_conn=True))
                asked.append((shared, number))
            until(in_line(site, number - 1))
        assert site.server.active_requests == 1
        application.open.set()
        assert {connection.response(number).body for connection, number in asked} == {b"hello"}
        assert shared.response(1).body == b"hello"
    assert application.called == [f"/{number}" for number in range(1, 8)]


def test_a_newcomer_does_not_get_the_place_that_has_just_become_free(serving, until, one_place):
    """Its request is read in the same turn of the loop in which the first one ends."""
    options, doors = one_place
    application = doors()
    with serving(application, **options) as site:
        first = ask(site, "/1")
        until(lambda: application.called)
        second = ask(site, "/2")
        until(in_line(site, 1))
        running = site.server.runners
        before = running.when_free

        def free():
            before()
            assert len(running.running) == 0
            for connection in list(site.server.open_connections):
                if not connection.requests:
                    connection._guarded(connection._read)  # the newcomer's, before the next turn

        newcomer = site.connect()
        until(lambda: site.server.connections == 3)
        newcomer.send(wire.request(1, wire.cgi_params(path="/3")))
        running.when_free = free
        application.doors[0].set()
        assert first.response(1).body == b"hello"
        until(lambda: application.called == ["/1", "/2"])
        assert site.server.waiting_requests == 1
        application.open.set()
        assert second.response(1).body == newcomer.response(1).body == b"hello"
    assert application.called == ["/1", "/2", "/3"]


def test_nothing_is_left_of_the_line_when_all_were_let_in(serving, until, one_place):
    """Then it costs nothing again: no timer, and nobody who is told of each request's end."""
    options, doors = one_place
    application = doors()
    with serving(application, **options) as site:
        connections = [ask(site) for _ in range(3)]
        until(in_line(site, 2))
        line = site.server._line
        assert (line.places, line._timer is None) == (0, False)
        application.open.set()
        assert {connection.response(1).body for connection in connections} == {b"hello"}
        until(lambda: not site.server.active_requests)
        assert (line.places, line._timer, site.server.runners.when_free) == (1, None, None)
        assert site.ask().body == b"hello"


def test_many_in_line_are_let_in_one_after_another_and_others_have_their_turn(serving, until):
    """Each is answered at once; there are more of them than are let in at a time."""
    doors = Doors(gevent.event.Event)
    turns = []

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/first":
            return doors(environ, start_response)
        turns.append(gevent.get_hub().loop.now())
        return hello(environ, start_response)

    with serving(application, max_concurrent_requests=1) as site, site.connect() as shared:
        shared.send(wire.request(1, wire.cgi_params(path="/first"), keep_conn=True))
        until(lambda: doors.called)
        for number in range(2, 302):
            shared.send(wire.request(number, wire.cgi_params(), keep_conn=True))
        until(in_line(site, 300))
        doors.open.set()
        assert {shared.response(number).body for number in range(1, 302)} == {b"hello"}
    assert len(turns) == 300


# -- out of line


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_waits_for_too_long_gets_503_and_the_others_go_on(
    serving, until, one_place, caplog, method
):
    options, doors = one_place
    application = doors()
    with serving(application, queue_timeout_seconds=SHORT, **options) as site:
        running = ask(site, "/running")
        until(lambda: application.called)
        began = time.monotonic()
        response = ask(site, "/waiting", method).response(1)
        assert time.monotonic() - began >= SHORT * 0.9
        assert (response.protocol_status, response.status) == (wire.OVERLOADED, 503)
        assert int(response.header("Retry-After")) > 0
        assert (b"503" in response.body) == (method == "GET")
        assert int(response.header("Content-Length")) > 0
        application.open.set()
        assert running.response(1).body == b"hello"
        assert site.ask(path="/after").body == b"hello"
    assert application.called == ["/running", "/after"]
    (bound,) = options
    waits, refused = (record.getMessage() for record in caplog.records)
    assert waits == f"1 requests are running ({bound}): further ones wait in line"
    assert "queue_timeout_seconds" in refused
    assert bound in refused


def test_a_line_that_is_over_at_once_is_not_worth_a_word(serving, one_place, until, caplog):
    """With mod_fcgid the next request may come before the thread of the last one is free."""
    options, doors = one_place
    application = doors()
    with serving(application, **options) as site:
        running = ask(site, "/running")
        until(lambda: application.called)
        waiting = ask(site, "/waiting")
        until(lambda: site.server.waiting_requests)
        application.open.set()
        assert running.response(1).body == b"hello"
        assert waiting.response(1).body == b"hello"
        gevent.sleep(limits.LINE_SAID_SECONDS * 2)
    assert not caplog.records


def test_each_waits_for_its_own_time(serving, until):
    application = Doors(gevent.event.Event)
    with serving(application, max_concurrent_requests=1, queue_timeout_seconds=SHORT * 5) as site:
        ask(site)
        until(lambda: application.called)
        spans = []

        def wait():
            began = time.monotonic()
            assert site.ask().status == 503
            spans.append(time.monotonic() - began)

        waiting = []
        for _ in range(3):
            waiting.append(gevent.spawn(wait))
            gevent.sleep(SHORT)
        for one in waiting:
            one.get()
        application.open.set()
    assert min(spans) >= SHORT * 4.5


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_without_time_in_line_503_comes_at_once(serving, until, one_place, caplog, method):
    options, doors = one_place
    application = doors()
    with serving(application, queue_timeout_seconds=0, **options) as site:
        running = ask(site)
        until(lambda: application.called)
        response = ask(site, "/", method).response(1)
        assert (response.protocol_status, response.status) == (wire.OVERLOADED, 503)
        assert (b"503" in response.body) == (method == "GET")
        application.open.set()
        assert running.response(1).body == b"hello"
    (line,) = [record.getMessage() for record in caplog.records]
    assert "one more was refused" in line


def test_a_line_has_an_end_beyond_which_503_comes_at_once(serving, until, monkeypatch):
    monkeypatch.setattr(limits, "WAITING_REQUESTS", 2)
    application = Doors(gevent.event.Event)
    with serving(application, max_concurrent_requests=1) as site:
        served = [ask(site) for _ in range(3)]
        until(in_line(site, 2))
        assert site.ask().status == 503
        application.open.set()
        assert {connection.response(1).body for connection in served} == {b"hello"}


@pytest.mark.parametrize(
    ("software", "status"),
    [("HAProxy 2.6.12", wire.REQUEST_COMPLETE), ("nginx/1.22.1", wire.OVERLOADED)],
)
def test_haproxy_is_not_told_overloaded_after_the_wait_either(serving, software, status):
    application = Doors(gevent.event.Event)
    options = {"max_concurrent_requests": 1, "queue_timeout_seconds": SHORT}
    with serving(application, **options) as site, site.connect() as connection:
        for number in (1, 2):
            connection.send(begin(number, SERVER_SOFTWARE=software), wire.stdin(number, b""))
        response = connection.response(2)
        assert (response.protocol_status, response.status) == (status, 503)
        application.open.set()
        assert connection.response(1).body == b"hello"


@pytest.mark.parametrize("leave", ["abort", "close", "close with a body unread"])
@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET], ids=["unix", "tcp"])
def test_whose_web_server_has_left_is_never_run(serving, until, one_place, leave, family):
    options, doors = one_place
    application = doors()
    with serving(application, family=family, **options) as site:
        running = ask(site, "/running")
        until(lambda: application.called)
        leaving = site.connect()
        leaving.send(begin(PATH_INFO="/left", path="/left"))
        until(in_line(site, 1))
        after = ask(site, "/after")
        until(in_line(site, 2))
        if leave == "abort":
            leaving.send(wire.abort_request(1))
            until(in_line(site, 1))
        else:
            if "body" in leave:
                leaving.send(wire.stdin(1, b"x" * 20_000, end=False))
                until(lambda: any(one.paused for one in site.server.open_connections))
                leaving.send(wire.stdin(1, b"x" * 20_000, end=False))
            leaving.close()
            if "body" not in leave:
                until(in_line(site, 1))
        application.open.set()
        assert running.response(1).body == after.response(1).body == b"hello"
    assert application.called == ["/running", "/after"]


# -- what waits, and what does not


def test_the_body_of_a_request_in_line_stays_in_the_kernel(serving, until, one_place, accepted):
    options, doors = one_place
    application = doors(echo)
    body = os.urandom(4_000_000)
    with serving(application, **options) as site:
        running = ask(site)
        until(lambda: application.called)
        uploading = site.connect()
        sending = gevent.spawn(
            uploading.send, wire.request(1, wire.cgi_params("POST", body=body), body)
        )
        until(in_line(site, 1))
        until(lambda: any(one.paused for one in site.server.open_connections))
        gevent.sleep(SHORT)
        assert accepted[1].received <= limits.RECV_BYTES
        assert not sending.ready()
        application.open.set()
        assert uploading.response(1).body == body
        running.response(1)


def test_a_request_in_line_does_not_hold_up_the_others_of_its_connection(serving, until):
    application = Doors(gevent.event.Event, echo)
    body = os.urandom(1_000_000)
    with serving(application, max_concurrent_requests=2) as site, site.connect() as shared:
        elsewhere = ask(site, "/elsewhere")
        until(lambda: application.called)
        shared.send(wire.begin_request(1, keep_conn=True))
        shared.send(wire.params(1, wire.cgi_params("POST", "/first", body=body)))
        until(lambda: len(application.called) == 2)
        shared.send(wire.begin_request(2, keep_conn=True))
        shared.send(wire.params(2, wire.cgi_params("POST", "/second", body=body)))
        shared.send(wire.stdin(2, body, end=False))  # more than the buffers hold
        until(in_line(site, 1))
        application.doors[1].set()
        shared.send(wire.stdin(1, body))
        assert shared.response(1).body == body
        until(lambda: len(application.called) == 3)
        shared.send(wire.stdin(2, b""))
        application.open.set()
        assert shared.response(2).body == body
        assert elsewhere.response(1).status == 200


def test_no_clock_of_the_requests_own_runs_while_it_is_in_line(serving, until, one_place):
    options, doors = one_place
    application = doors(echo)
    clocks = ("params", "idle", "stdin", "stdout")
    short = {f"{name}_timeout_seconds": SHORT for name in clocks}
    with serving(application, **options, **short) as site:
        running = ask(site)
        until(lambda: application.called)
        body = b"x" * 100_000
        waiting = site.connect()
        content = wire.request(1, wire.cgi_params("POST", body=body), body)
        waiting.send(content[:-3])  # the application would wait for the rest, and so do we
        until(in_line(site, 1))
        gevent.sleep(SHORT * 5)
        assert site.server.waiting_requests == 1
        waiting.send(content[-3:])
        application.open.set()
        running.response(1)
        assert waiting.response(1).body == body


@pytest.mark.parametrize("role", [wire.RESPONDER, wire.AUTHORIZER, wire.FILTER])
def test_a_request_of_every_role_can_wait(serving, until, role):
    application = Doors(gevent.event.Event)
    with serving(application, max_concurrent_requests=1) as site:
        running = ask(site)
        until(lambda: application.called)
        with site.connect() as waiting:
            waiting.send(begin(role=role))
            if role != wire.AUTHORIZER:
                waiting.send(wire.stdin(1, b""))
            if role == wire.FILTER:
                waiting.send(wire.data(1, b"file"))
            until(in_line(site, 1))
            application.open.set()
            assert waiting.response(1).body == b"hello"
        running.response(1)


# -- at a stop


def test_who_is_in_line_at_a_stop_is_still_served(serving, until, one_place):
    options, doors = one_place
    application = doors()
    with serving(application, **options) as site:
        connections = [ask(site) for _ in range(4)]
        until(in_line(site, 3))
        site.server.stop()
        gevent.sleep(SHORT)
        for number in range(4):
            until(lambda number=number: len(application.doors) == number + 1)
            application.doors[number].set()
            assert connections[number].response(1).body == b"hello"


def test_who_is_still_in_line_when_a_stop_has_lasted_too_long_is_cut_and_named(
    serving, until, caplog
):
    application = Doors(gevent.event.Event)
    options = {"max_concurrent_requests": 1, "graceful_timeout_seconds": SHORT}
    with serving(application, **options) as site:
        running, waiting = ask(site, "/running"), ask(site, "/waiting")
        until(in_line(site, 1))
        site.server.stop()
        site.greenlet.get()
        for connection in (running, waiting):
            connection.wait_closed()
    assert application.called == ["/running"]
    assert "and cut: GET /running, GET /waiting" in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_nobody_is_let_in_in_a_child_that_the_application_forks(serving, until):
    called = []

    def application(environ, start_response):
        called.append(environ["PATH_INFO"])
        if environ["PATH_INFO"] == "/fork":
            until(in_line(site, 1))
            child = gevent.os.fork_gevent()
            if not child:
                gevent.sleep(0)
                os._exit(site.server.waiting_requests * 10 + len(called))
            _, status = os.waitpid(child, 0)
            environ["wsgi.errors"].write(f"{os.waitstatus_to_exitcode(status)}\n")
        return hello(environ, start_response)

    with serving(application, max_concurrent_requests=1) as site:
        forking = ask(site, "/fork")
        until(lambda: called)
        waiting = ask(site, "/waiting")
        assert forking.response(1).stderr == b"1\n"
        assert waiting.response(1).body == b"hello"


# -- twice of what may run


@pytest.mark.parametrize("way", ["greenlets", "threads"])
def test_of_twice_as_many_as_may_run_all_are_answered(serving, way):
    _, pause = ways_to_wait(threads=way == "threads")
    most, together, peak = 20, 0, 0

    def application(environ, start_response):
        nonlocal together, peak
        together += 1
        peak = max(peak, together)
        pause(0.005)
        together -= 1
        return hello(environ, start_response)

    options = {"threads": most} if way == "threads" else {"max_concurrent_requests": most}
    with serving(application, **options) as site:

        def client():
            return [site.ask().status for _ in range(5)]

        clients = [gevent.spawn(client) for _ in range(2 * most)]
        assert [client.get() for client in clients] == [[200] * 5] * (2 * most)
    assert 0 < peak <= most


def test_where_not_all_can_be_answered_the_rest_has_503_in_the_lines_time(serving):
    def application(environ, start_response):
        gevent.sleep(SHORT * 2)
        return hello(environ, start_response)

    with serving(application, max_concurrent_requests=2, queue_timeout_seconds=SHORT * 3) as site:
        began = time.monotonic()
        clients = [gevent.spawn(site.ask) for _ in range(12)]
        statuses = [client.get().status for client in clients]
        assert time.monotonic() - began < 20
    assert set(statuses) == {200, 503}
    assert 2 < statuses.count(200) < 10
