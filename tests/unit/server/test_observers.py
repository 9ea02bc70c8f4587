"""gfcgi.server.observers: who is told of each request, whatever it runs in and however it ends."""

from __future__ import annotations

import logging
import os
import threading
import time

import gevent
import pytest
import webserver_side as wire
from wsgi_side import Gate, begin, echo, hello

from gfcgi import limits
from gfcgi.server.observers import frame_of

LONG = os.urandom(1 << 20)


class Observer:
    """Keeps what it was told, and checks that the two calls belong together."""

    def __init__(self):
        self.running = []
        self.ended = []

    def request_begun(self, observed):
        assert observed.ended == 0.0
        self.running.append(observed)

    def request_ended(self, observed):
        self.running.remove(observed)
        self.ended.append(observed)

    @property
    def only(self):
        (observed,) = self.ended
        return observed


@pytest.fixture
def observer():
    return Observer()


threads = pytest.mark.parametrize("threads", [0, 2], ids=["greenlets", "threads"])


@threads
def test_a_request_is_seen_with_all_that_was_received_and_sent(serving, until, observer, threads):
    before, wall = time.monotonic(), time.time()
    with serving(echo, threads=threads, observers=[observer]) as site, site.connect() as connection:
        params = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(LONG))}
        connection.send(begin(PATH_INFO="/x", **params), wire.stdin(1, LONG))
        assert connection.response().body == LONG
        until(lambda: observer.ended)
    one = observer.only
    assert (one.method, one.path, one.status) == ("POST", "/x", "200 OK")
    assert ("Content-Type", "text/plain") in one.fields
    assert (one.received, one.sent) == (len(LONG), len(LONG))
    assert (one.aborted, one.cut) == (False, False)
    assert before <= one.began <= one.ended <= time.monotonic()
    assert wall - 1 <= one.began_at <= time.time() + 1
    assert observer.running == []


@threads
def test_a_file_that_the_kernel_copies_is_counted(serving, until, observer, threads, tmp_path):
    (tmp_path / "file").write_bytes(LONG)

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return environ["wsgi.file_wrapper"](open(tmp_path / "file", "rb"))

    with serving(application, threads=threads, observers=[observer]) as site:
        assert site.ask().body == LONG
        until(lambda: observer.ended)
    assert observer.only.sent == len(LONG)


@threads
def test_an_application_that_fails_is_seen_with_our_page(serving, until, observer, threads):
    def application(environ, start_response):
        raise ValueError

    with serving(application, threads=threads, observers=[observer]) as site:
        assert site.ask().status == 500
        until(lambda: observer.ended)
    assert observer.only.status == "500 Internal Server Error"


@threads
def test_a_response_that_breaks_off_is_seen_as_cut(serving, until, observer, threads):
    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"begun"
        raise ValueError

    observers = [observer]
    with serving(application, threads=threads, observers=observers) as site, site.connect() as one:
        one.send(begin(), wire.stdin(1, b""))
        one.read_record()
        until(lambda: observer.ended)
    one = observer.only
    assert (one.status, one.sent, one.cut) == ("200 OK", 5, True)


@threads
def test_a_web_server_that_leaves_is_seen(serving, until, observer, threads):
    def application(environ, start_response):
        environ["wsgi.input"].read()

    with serving(application, threads=threads, observers=[observer]) as site:
        with site.connect() as connection:
            connection.send(begin())
            until(lambda: observer.running)
        until(lambda: observer.ended)
    assert (observer.only.status, observer.only.aborted) == ("", True)


@threads
def test_a_web_server_that_leaves_within_a_response_is_seen(serving, until, observer, threads):
    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"begun"
        environ["wsgi.input"].read()
        yield b"never sent"

    with serving(application, threads=threads, observers=[observer]) as site:
        with site.connect() as connection:
            connection.send(begin())
            connection.read_record()
        until(lambda: observer.ended)
    one = observer.only
    assert (one.status, one.sent, one.aborted, one.cut) == ("200 OK", 5, True, True)


@threads
@pytest.mark.parametrize(("begun", "status", "cut"), [(b"", "504", False), (b"begun", "200", True)])
def test_a_request_that_runs_for_too_long_was_not_given_up_by_its_web_server(
    serving, until, observer, threads, begun, status, cut
):
    def application(environ, start_response):
        start_response("200 OK", [])
        yield begun
        while not environ["gfcgi.aborted"].is_set():
            (time if threads else gevent).sleep(0.01)
        yield b"too late"

    with (
        serving(
            application, threads=threads, observers=[observer], request_timeout_seconds=0.1
        ) as site,
        site.connect() as connection,
    ):
        connection.send(begin(), wire.stdin(1, b""))
        connection.read_record()
        until(lambda: observer.ended)
    one = observer.only
    assert (one.status[:3], one.aborted, one.cut) == (status, False, cut)


def test_a_request_that_is_refused_while_others_run_is_seen(serving, until, observer):
    gate = Gate()
    bound = {"max_concurrent_requests": 1, "queue_timeout_seconds": 0.2}
    with serving(gate, observers=[observer], **bound) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        gate.begun.wait()
        assert site.ask(PATH_INFO="/refused").status == 503
        assert observer.only.path == "/refused"
        assert observer.only.status == "503 Service Unavailable"
        gate.open.set()
        connection.response()
        until(lambda: len(observer.ended) == 2)


def test_a_request_that_goes_wrong_while_it_runs_is_seen_with_our_page(serving, until, observer):
    gate = Gate(echo)
    with serving(gate, observers=[observer]) as site, site.connect() as connection:
        connection.send(begin())
        gate.begun.wait()
        connection.send(wire.params(1, {"LATE": "1"}))
        assert connection.response().status == 400
        until(lambda: observer.ended)
    assert (observer.only.status[:3], observer.only.aborted) == ("400", True)


def test_a_request_that_is_aborted_before_it_ran_is_seen(serving, until, observer):
    with serving(hello, observers=[observer]) as site, site.connect() as connection:
        connection.send(begin(), wire.abort_request(1))
        connection.response()
        until(lambda: observer.ended)
    assert observer.only.aborted
    assert observer.running == []


@threads
def test_requests_of_one_connection_are_seen_one_by_one(serving, until, observer, threads):
    with serving(echo, threads=threads, observers=[observer]) as site, site.connect() as connection:
        for request_id in (1, 2):
            connection.send(begin(request_id, PATH_INFO=f"/{request_id}"))
        for request_id in (2, 1):
            connection.send(wire.stdin(request_id, b"x" * request_id))
            connection.response(request_id)
        until(lambda: len(observer.ended) == 2)
    assert [(one.path, one.received, one.sent) for one in observer.ended] == [
        ("/2", 2, 2),
        ("/1", 1, 1),
    ]


@threads
def test_an_observer_that_raises_costs_a_line_at_a_bounded_rate(
    serving, until, observer, threads, caplog
):
    class Raises:
        def request_begun(self, observed):
            raise ValueError("begun")

        request_ended = request_begun

    requests = limits.LOG_BURST
    with serving(hello, threads=threads, observers=[Raises(), observer]) as site:
        for _ in range(requests):
            assert site.ask(PATH_INFO="/x").body == b"hello"
        until(lambda: len(observer.ended) == requests)
    lines = [record for record in caplog.records if "an observer of requests" in record.message]
    assert lines[0].getMessage() == "GET /x: an observer of requests failed"
    assert isinstance(lines[0].exc_info[1], ValueError)
    assert len(lines) < 2 * requests


def test_nobody_counts_where_nobody_observes(serving):
    seen = []

    def application(environ, start_response):
        seen.extend(request.observed for request in site.server.runners.running)
        return hello(environ, start_response)

    with serving(application) as site:
        assert site.ask().body == b"hello"
    assert seen == [None]


def test_where_a_greenlet_stands_is_found_from_another_thread(serving, observer):
    gate = Gate()
    with serving(gate, observers=[observer]) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        gate.begun.wait()
        frames = gevent.get_hub().threadpool.apply(lambda: names(frame_of(observer.running[0])))
        gate.open.set()
        connection.response()
    assert "_wait" in frames
    assert frame_of(observer.only) is None


def test_where_a_greenlet_computes_is_found_from_another_thread(serving, observer):
    found = []

    def application(environ, start_response):
        looked = threading.Event()

        def look():
            found.append(names(frame_of(observer.running[0])))
            looked.set()

        threading.Thread(target=look).start()
        looked.wait()
        return hello(environ, start_response)

    with serving(application, observers=[observer]) as site:
        assert site.ask().body == b"hello"
    assert "application" in found[0]


def test_where_a_thread_stands_is_found_and_who_is_in_line_stands_nowhere(serving, until, observer):
    begun, go_on = threading.Event(), threading.Event()

    def application(environ, start_response):
        begun.set()
        go_on.wait()
        return hello(environ, start_response)

    with serving(application, threads=1, observers=[observer]) as site, site.connect() as first:
        first.send(begin(), wire.stdin(1, b""))
        until(begun.is_set)
        with site.connect() as second:
            second.send(begin(), wire.stdin(1, b""))
            until(lambda: len(observer.running) == 2)
            runs, waits = observer.running
            until(lambda: waits.in_line)
            assert "application" in names(frame_of(runs))
            assert frame_of(waits) is None
            go_on.set()
            assert first.response().body == second.response().body == b"hello"
        until(lambda: len(observer.ended) == 2)
    assert not waits.in_line


@pytest.mark.parametrize("option", ["threads", "max_concurrent_requests"])
def test_a_request_in_line_has_begun_and_ends_however_it_leaves_it(
    serving, until, observer, option
):
    go_on = threading.Event()

    def application(environ, start_response):
        while not go_on.is_set():
            (gevent if option != "threads" else time).sleep(0.002)
        return hello(environ, start_response)

    options = {option: 1, "queue_timeout_seconds": 0.5}
    with serving(application, observers=[observer], **options) as site:
        connections = [site.connect() for _ in range(3)]
        for number, connection in enumerate(connections):
            connection.send(begin(PATH_INFO=f"/{number}"), wire.stdin(1, b""))
            until(lambda number=number: len(observer.running) == number + 1)
        _, turned_away, left = observer.running
        assert turned_away.in_line
        assert frame_of(turned_away) is None
        connections[2].close()
        until(lambda: left.ended)
        assert (left.aborted, left.status) == (True, "")
        assert connections[1].response().status == 503
        until(lambda: turned_away.ended)
        assert (turned_away.status, turned_away.in_line) == ("503 Service Unavailable", False)
        connections[1].send(begin(PATH_INFO="/let-in"), wire.stdin(1, b""))
        until(lambda: len(observer.running) == 2)
        _, let_in = observer.running
        go_on.set()
        assert connections[0].response().body == connections[1].response().body == b"hello"
        until(lambda: not observer.running)
    assert (let_in.status, let_in.in_line) == ("200 OK", False)
    assert len(observer.ended) == 4


def test_a_request_whose_web_server_is_found_gone_at_its_turn_has_ended(serving, until, observer):
    """Nobody reads from it while it is in line, so nobody has heard that it left."""
    gate = Gate()
    options = {"observers": [observer], "max_concurrent_requests": 1}
    with serving(gate, **options) as site, site.connect() as running, site.connect() as leaving:
        running.send(begin(PATH_INFO="/running"), wire.stdin(1, b""))
        until(gate.begun.is_set)
        leaving.send(begin(PATH_INFO="/left"), wire.stdin(1, b"unread", end=False))
        until(lambda: len(observer.running) == 2)
        _, left = observer.running
        leaving.close()
        gate.open.set()
        assert running.response().status == 200
        until(lambda: site.server.connections == 1)
    assert observer.running == []
    assert (left.path, left.aborted, left.status, left.in_line) == ("/left", True, "", False)


def test_a_greenlet_is_used_again_though_it_was_observed(serving, observer):
    with serving(hello, observers=[observer]) as site:
        used = set()
        for _ in range(3):
            site.ask()
            used |= set(map(id, site.server.runners._parked))
    assert len(used) == 1


def test_a_forked_child_tells_nothing(serving, until, observer, caplog):
    reading, writing = os.pipe()

    class Tells(Observer):
        def request_ended(self, observed):
            super().request_ended(observed)
            os.write(writing, b"%d\n" % os.getpid())

    def application(environ, start_response):
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        return hello(environ, start_response)

    caplog.set_level(logging.CRITICAL)
    with serving(application, observers=[Tells()]) as site:
        assert site.ask().body == b"hello"
    os.close(writing)
    with open(reading) as told:
        assert told.read() == f"{os.getpid()}\n"


def names(frame):
    found = []
    while frame is not None:
        found.append(frame.f_code.co_name)
        frame = frame.f_back
    return found
