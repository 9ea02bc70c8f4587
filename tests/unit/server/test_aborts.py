"""gfcgi.server.connection: the Web server gives a request up, or leaves."""

from __future__ import annotations

import gevent
import gevent.event
import pytest
import webserver_side as wire
from wsgi_side import Gate, begin, echo, hello

from gfcgi.errors import RequestAborted


def wait_for_the_abort(environ, start_response):
    environ["gfcgi.aborted"].wait()


# -- aborts


def test_an_abort_before_params_end_is_answered_and_runs_nothing(serving):
    with serving(hello) as site, site.connect() as connection:
        connection.send(wire.begin_request(1, keep_conn=True), wire.abort_request(1))
        response = connection.response()
        assert (response.stdout, response.protocol_status) == (b"", wire.REQUEST_COMPLETE)
        connection.send(begin(), wire.stdin(1, b""))
        assert connection.response().body == b"hello"


def test_an_abort_right_behind_params_runs_nothing(serving):
    gate = Gate()
    with serving(gate) as site, site.connect() as connection:
        connection.send(begin(), wire.abort_request(1))
        connection.response()
    assert not gate.begun.is_set()


def test_an_abort_reaches_an_application_that_reads(serving):
    gate = Gate(echo)
    with serving(gate) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b"some", end=False))
        gate.begun.wait()
        connection.send(wire.abort_request(1))
        assert connection.response().stdout == b""
        gate.ended.wait()
        assert isinstance(gate.error, RequestAborted)
        assert "aborted" in str(gate.error)


def test_an_abort_sets_an_event_that_the_application_can_wait_for(serving):
    gate = Gate(wait_for_the_abort)
    with serving(gate) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        gate.begun.wait()
        assert not gate.environ["gfcgi.aborted"].is_set()
        connection.send(wire.abort_request(1))
        connection.response()
        gate.ended.wait()
        assert gate.environ["gfcgi.aborted"].is_set()


def test_after_an_abort_a_write_raises_and_the_id_belongs_to_the_next_request(serving):
    gate = Gate()

    def run(environ, start_response):
        write = start_response("200 OK", [])
        gate.open.wait()
        write(b"nobody may see this")

    gate.run = run

    def application(*wsgi):
        return echo(*wsgi) if gate.begun.is_set() else gate(*wsgi)

    with serving(application) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        gate.begun.wait()
        connection.send(wire.abort_request(1), begin(), wire.stdin(1, b"half", end=False))
        connection.response()
        gate.open.set()
        gate.ended.wait()
        assert isinstance(gate.error, RequestAborted)
        connection.send(wire.stdin(1, b"+half"))
        assert connection.response().body == b"half+half"


def test_an_abort_after_the_answer_is_ignored(serving):
    with serving(hello) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        connection.response()
        connection.send(wire.abort_request(1), begin(), wire.stdin(1, b""))
        assert connection.response().body == b"hello"


HAPROXY = {"SERVER_SOFTWARE": "HAProxy 2.6.12"}


@pytest.mark.parametrize("keep_conn", [True, False], ids=["kept", "closed"])
def test_a_whole_request_that_haproxy_aborts_as_it_stops_is_answered(serving, keep_conn):
    gate = Gate()
    with serving(gate) as site, site.connect() as connection:
        connection.send(begin(keep_conn=keep_conn, **HAPROXY), wire.stdin(1, b"body"))
        gate.begun.wait()
        connection.send(wire.abort_request(1))
        connection.send(wire.get_values("FCGI_MAX_REQS"))
        connection.values()
        assert not gate.environ["gfcgi.aborted"].is_set()
        gate.open.set()
        assert connection.response().body == b"through"


def test_a_whole_request_that_haproxy_aborts_as_it_stops_may_wait_in_line(serving, until):
    gate = Gate()
    serves = serving(gate, max_concurrent_requests=1)
    with serves as site, site.connect() as first, site.connect() as second:
        first.send(begin(**HAPROXY), wire.stdin(1, b""))
        gate.begun.wait()
        second.send(begin(**HAPROXY), wire.stdin(1, b""), wire.abort_request(1))
        second.send(wire.get_values("FCGI_MAX_REQS"))
        until(lambda: site.server.waiting_requests == 1)
        second.values()
        gate.open.set()
        assert first.response().body == b"through"
        assert second.response().body == b"through"


def test_an_upload_that_haproxy_aborts_is_aborted(serving):
    gate = Gate(echo)
    with serving(gate) as site, site.connect() as connection:
        connection.send(begin(**HAPROXY), wire.stdin(1, b"some", end=False))
        gate.begun.wait()
        connection.send(wire.abort_request(1))
        assert connection.response().stdout == b""
        gate.ended.wait()
        assert isinstance(gate.error, RequestAborted)


def test_a_whole_request_of_haproxy_is_aborted_by_the_end_of_the_connection(serving):
    gate = Gate(wait_for_the_abort)
    with serving(gate) as site, site.connect() as connection:
        connection.send(begin(**HAPROXY), wire.stdin(1, b""))
        gate.begun.wait()
        connection.send(wire.abort_request(1))
        connection.close()
        gate.ended.wait()
        assert gate.environ["gfcgi.aborted"].is_set()


def test_the_iterable_is_closed_after_an_abort(serving):
    closed = gevent.event.Event()
    aborted = gevent.event.Event()

    class Body:
        def __iter__(self):
            yield b"first"
            aborted.wait()
            while True:
                yield b"second"

        def close(self):
            closed.set()

    def application(environ, start_response):
        start_response("200 OK", [])
        return Body()

    with serving(application) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        while not connection.partial(1).stdout:
            connection.read_any()
        connection.send(wire.abort_request(1))
        connection.response()
        aborted.set()
        closed.wait()


# -- a Web server that leaves


def test_a_read_raises_when_the_web_server_leaves(serving):
    gate = Gate(echo)
    with serving(gate) as site:
        with site.connect() as connection:
            connection.send(begin(CONTENT_LENGTH="100"), wire.stdin(1, b"part", end=False))
            gate.begun.wait()
        gate.ended.wait()
        assert isinstance(gate.error, RequestAborted)
        assert gate.environ["gfcgi.aborted"].is_set()
        site.until_idle()


def test_the_end_of_the_connection_is_not_the_end_of_the_body(serving):
    gate = Gate(echo)
    with serving(gate) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b"part", end=False))
        gate.begun.wait()
        connection.finish_sending()
        gate.ended.wait()
        assert isinstance(gate.error, RequestAborted)


def test_a_sleeping_application_is_told_when_the_web_server_leaves(serving):
    gate = Gate(wait_for_the_abort)
    with serving(gate) as site:
        with site.connect() as connection:
            connection.send(begin(), wire.stdin(1, b""))
            gate.begun.wait()
        gate.ended.wait()
        site.until_idle()


def test_a_write_raises_when_the_web_server_leaves(serving):
    gate = Gate()

    def run(environ, start_response):
        write = start_response("200 OK", [])
        while True:
            write(b"x" * 65_536)

    gate.run = run
    with serving(gate) as site:
        with site.connect() as connection:
            connection.send(begin(), wire.stdin(1, b""))
            connection.read_record()
        gate.ended.wait()
        assert isinstance(gate.error, RequestAborted)
        site.until_idle()


def test_the_web_server_leaving_is_noticed_behind_a_body_that_nobody_reads(serving, until):
    gate = Gate(wait_for_the_abort)
    with serving(gate, stdin_buffer_bytes=1000, idle_timeout_seconds=0.1) as site:
        with site.connect() as connection:
            connection.send(begin(), wire.stdin(1, b"x" * 100_000))
            until(lambda: site.server.connections and site.only_connection.paused)
        gate.ended.wait()
        site.until_idle()
