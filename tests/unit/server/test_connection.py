"""gfcgi.server.connection: requests begin, run beside each other, and end."""

from __future__ import annotations

import gc
import socket
import time
import tracemalloc
from unittest.mock import ANY

import gevent
import gevent.event
import pytest
import webserver_side as wire
from wsgi_side import Gate, begin, echo, hello

from gfcgi import limits
from gfcgi.errors import RemoteProtocolError
from gfcgi.server.connection import Connection
from gfcgi.server.phases import Phase
from gfcgi.server.request import ServerRequest
from gfcgi.wsgi.input import Input

# -- beginning


def test_the_application_runs_when_params_end_and_before_the_body_does(serving):
    gate = Gate()
    with serving(gate) as site, site.connect() as connection:
        connection.send(begin(REQUEST_METHOD="POST"))
        gate.begun.wait()
        gate.open.set()
        assert connection.response().body == b"through"


def test_the_application_reads_while_the_web_server_still_sends(serving):
    def application(environ, start_response):
        write = start_response("200 OK", [])
        while piece := environ["wsgi.input"].read1():
            write(piece.upper())
        return []

    with serving(application) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b"one", end=False))
        while connection.partial(1).stdout.rpartition(b"\n")[2] != b"ONE":
            connection.read_any()
        connection.send(wire.stdin(1, b"two"))
        assert connection.response().body == b"ONETWO"


@pytest.mark.parametrize("request_id", [1, 255, 256, 65535])
def test_a_request_sent_byte_by_byte_is_answered_under_its_id(serving, request_id):
    with serving(echo) as site, site.connect() as connection:
        connection.send_slowly(
            wire.request(request_id, wire.cgi_params("POST", body=b"body"), b"body")
        )
        assert connection.response(request_id).body == b"body"


def test_a_whole_answer_leaves_in_one_send(serving, sends):
    with serving(hello) as site:
        assert site.ask().body == b"hello"
    (answer,) = sends
    records, rest = wire.parse_records(answer)
    assert [record.type for record in records] == [wire.STDOUT, wire.STDOUT, wire.END_REQUEST]
    assert rest == b""


# -- ending


def test_a_connection_without_keep_conn_is_closed_after_its_answer(serving):
    with serving(hello) as site, site.connect() as connection:
        connection.send(wire.request(1, wire.cgi_params()))
        assert connection.response().status == 200
        connection.wait_closed()


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET], ids=["UNIX", "TCP"])
@pytest.mark.parametrize(
    "late",
    [wire.stdin(1, b""), wire.stdin(9, b"x"), b"x" * 100],
    ids=["a second end", "for nobody", "no record"],
)
@pytest.mark.parametrize("path", ["/", "/refused"])
def test_who_writes_after_the_end_of_its_request_still_reads_the_answer(
    serving, until, family, late, path
):
    """As npm's fastcgi-client does, which ends STDIN twice."""
    options = {"max_params_bytes": 5} if path == "/refused" else {}
    with serving(hello, family=family, **options) as site, site.connect() as connection:
        connection.send(wire.request(1, wire.cgi_params(path=path)))
        assert connection.socket.recv(1, socket.MSG_PEEK)
        until(lambda: all(one.phase > Phase.OPEN for one in site.server.open_connections))
        for _ in range(3):
            connection.send(late)
        answer = connection.response()
        assert (answer.status, answer.body) == (200, b"hello") if path == "/" else (431, ANY)
        connection.wait_closed()
        connection.close()
        site.until_idle()


def test_who_does_not_close_after_its_answer_is_left_after_a_while(serving, monkeypatch):
    monkeypatch.setattr(limits, "LINGER_SECONDS", 0.05)
    with serving(hello) as site, site.connect() as connection:
        connection.send(wire.request(1, wire.cgi_params()))
        assert connection.response().body == b"hello"
        site.until_idle()


@pytest.mark.parametrize(
    "software",
    [
        "Apache",
        "Apache/2.4.57 (Debian) mod_fcgid/2.3.9",
        "Caddy/v2.6",
        "HAProxy 2.6.12",
        "gfcgi/1",
        "h2o/2.2",
        "lighttpd/1.4",
        "nginx/1.22.1",
    ],
)
def test_a_web_server_that_writes_nothing_late_is_not_waited_for(serving, monkeypatch, software):
    """It would cost each of its requests another turn of the loop."""
    monkeypatch.setattr(limits, "LINGER_SECONDS", 1000)
    with serving(hello) as site, site.connect() as connection:
        connection.send(wire.request(1, wire.cgi_params(SERVER_SOFTWARE=software)))
        assert connection.response().body == b"hello"
        site.until_idle()


def test_a_request_that_comes_with_its_connection_costs_one_read_and_one_write(
    serving, asked_of_sockets
):
    """Nothing is asked of the event loop, which would have to know the descriptor."""
    with serving(hello) as site, site.connect() as connection:
        connection.send(wire.request(1, wire.cgi_params(SERVER_SOFTWARE="nginx/1.22.1")))
        assert connection.response().body == b"hello"
        site.until_idle()
    assert asked_of_sockets == ["setblocking", "family", "recv", "send", "close"]


def test_an_answered_connection_whose_web_server_does_not_close_does_not_hold_a_stop_up(serving):
    with serving(hello) as site, site.connect() as connection:
        connection.send(wire.request(1, wire.cgi_params()))
        assert connection.response().body == b"hello"
        began = time.monotonic()
        site.server.stop()
        site.greenlet.get()
        assert time.monotonic() - began < limits.LINGER_SECONDS


def test_a_kept_connection_serves_one_request_after_another_under_one_id(serving):
    with serving(echo) as site, site.connect() as connection:
        for body in (b"one", b"", b"three"):
            connection.send(wire.request(1, wire.cgi_params(), body, keep_conn=True))
            assert connection.response().body == body
        assert site.server.connections == 1


def test_requests_that_came_in_one_read_are_all_answered(serving):
    with serving(echo) as site, site.connect() as connection:
        connection.send(
            *(
                wire.request(number, wire.cgi_params(), b"%d" % number, keep_conn=True)
                for number in range(1, 6)
            )
        )
        for number in range(1, 6):
            assert connection.response(number).body == b"%d" % number


def test_the_end_of_a_body_that_comes_after_the_answer_does_no_harm(serving):
    with serving(hello) as site, site.connect() as connection:
        for _ in range(3):
            connection.send(begin())
            assert connection.response().body == b"hello"
            connection.send(wire.stdin(1, b"late"))


def test_the_last_request_without_keep_conn_waits_for_those_that_run(serving):
    gate = Gate()
    with serving(gate) as site, site.connect() as connection:
        connection.send(begin(1), begin(2, keep_conn=False), wire.stdin(2, b""))
        gate.open.set()
        connection.send(wire.stdin(1, b""))
        assert connection.response(2).body == b"through"
        assert connection.response(1).body == b"through"
        connection.wait_closed()


# -- multiplexing


def test_requests_of_one_connection_run_beside_each_other(serving):
    waiting = gevent.event.Event()

    def application(environ, start_response):
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/second":
            waiting.set()
        else:
            waiting.wait()
        return [environ["PATH_INFO"].encode()]

    with serving(application) as site, site.connect() as connection:
        for request_id, path in ((1, "/first"), (2, "/second")):
            connection.send(wire.request(request_id, wire.cgi_params(path=path), keep_conn=True))
        assert connection.response(2).body == b"/second"
        assert connection.response(1).body == b"/first"


def test_bodies_that_are_mixed_reach_their_own_requests(serving):
    with serving(echo) as site, site.connect() as connection:
        connection.send(begin(1), begin(2))
        for _ in range(10):
            connection.send(wire.stdin(1, b"a" * 9, end=False), wire.stdin(2, b"b", end=False))
        connection.send(wire.stdin(2, b""))
        assert connection.response(2).body == b"b" * 10
        connection.send(wire.stdin(1, b""))
        assert connection.response(1).body == b"a" * 90


def test_a_body_that_nobody_reads_does_not_stop_the_other_requests(serving, until):
    gate = Gate()

    def application(environ, start_response):
        return (gate if environ["PATH_INFO"] == "/gate" else echo)(environ, start_response)

    body = b"x" * 300_000
    with (
        serving(application, stdin_buffer_bytes=1000, multiplexed_buffer_bytes=10_000) as site,
        site.connect() as connection,
    ):
        connection.send(begin(1, path="/gate"), begin(2, path="/echo"))
        connection.send(wire.stdin(1, body), wire.stdin(2, b"passed"))
        assert connection.response(2).body == b"passed"
        stream = next(iter(site.only_connection.requests.values())).stdin
        until(lambda: stream.ended)
        assert stream.memory_bytes <= 10_000 + 65_536
        assert stream.spooled_bytes == len(body) - stream.memory_bytes
        gate.run = echo
        gate.open.set()
        assert gate.environ["wsgi.input"].read(len(body)) == body
        connection.send(wire.abort_request(1))
        connection.response(1)


def test_a_full_disk_file_makes_the_web_server_wait_and_loses_nothing(serving, until):
    ready = gevent.event.Event()

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            ready.wait()
        return echo(environ, start_response)

    body = bytes(range(256)) * 20_000  # 5 MB: more than the sockets' buffers take
    with (
        serving(application, multiplexed_buffer_bytes=1000, max_spool_bytes=100_000) as site,
        site.connect() as connection,
    ):
        connection.send(begin(1, path="/slow"), begin(2, path="/fast"))
        sending = gevent.spawn(connection.send, wire.stdin(1, body))
        until(lambda: site.server.connections and site.only_connection.paused)
        assert not sending.ready()
        ready.set()
        sending.get()
        assert connection.response(1).body == body
        connection.send(wire.stdin(2, b"after"))
        assert connection.response(2).body == b"after"


@pytest.mark.parametrize("chunk", [2, 1000, 65535])
def test_a_full_disk_costs_one_request_and_its_connection_goes_on(serving, full_disk, chunk):
    gate = Gate(lambda *wsgi: (gate.open.wait(), echo(*wsgi))[1])

    def application(environ, start_response):
        return (gate if environ["PATH_INFO"] == "/big" else echo)(environ, start_response)

    with serving(application, multiplexed_buffer_bytes=1000) as site, site.connect() as connection:
        connection.send(begin(1, path="/big"), begin(2))
        for _ in range(3):
            connection.send(wire.stdin(1, b"x" * 5000, end=False, chunk=chunk))
        connection.send(wire.stdin(2, b"small"))
        assert connection.response(2).body == b"small"
        gate.open.set()
        assert connection.response(1).status == 507
        connection.send(wire.stdin(1, b"late"), begin(3), wire.stdin(3, b"after"))
        assert connection.response(3).body == b"after"


def test_a_web_server_that_asks_whether_it_may_multiplex_is_read_on_for(serving):
    gate = Gate()
    with serving(gate, stdin_buffer_bytes=1000) as site, site.connect() as connection:
        connection.send(wire.get_values("FCGI_MPXS_CONNS", "FCGI_NONSENSE"))
        assert connection.values() == {"FCGI_MPXS_CONNS": "1"}
        connection.send(begin(1), wire.stdin(1, b"x" * 50_000), begin(2), wire.stdin(2, b""))
        gate.open.set()
        assert connection.response(2).body == b"through"


def test_a_second_request_lets_a_paused_connection_read_on(serving):
    gate = Gate()

    def application(environ, start_response):
        return (gate if environ["PATH_INFO"] == "/gate" else echo)(environ, start_response)

    with serving(application, stdin_buffer_bytes=1000) as site, site.connect() as connection:
        unread = wire.stdin(1, b"x" * 2000, end=False)
        connection.send(begin(1, path="/gate") + unread + begin(2, path="/echo"))
        gate.begun.wait()
        connection.send(wire.stdin(2, b"arrived"))
        assert connection.response(2).body == b"arrived"
        gate.open.set()
        assert connection.response(1).body == b"through"


@pytest.mark.parametrize("what", ["small records", "junk between"])
@pytest.mark.parametrize("multiplexed", [False, True])
def test_the_body_that_is_kept_takes_no_more_than_its_bound_says(serving, until, what, multiplexed):
    """Measured with everything that the connection has, here and in the kernel."""
    gate = Gate(lambda *wsgi: (gate.open.wait(), echo(*wsgi))[1])
    bound = 100_000
    if what == "small records":
        body = wire.stdin(1, b"xy" * (bound // 2), end=False, chunk=2)
    else:
        body = b"".join(
            wire.stdin(1, b"x" * 5000, end=False) + wire.stdin(9, b"j" * 60_000, end=False)
            for _ in range(bound // 5000)
        )
    options = {"stdin_buffer_bytes": bound, "multiplexed_buffer_bytes": bound}
    with serving(gate, **options) as site, site.connect() as connection:
        connection.send(begin(1), *([begin(2)] if multiplexed else []))
        gate.begun.wait()
        stream = site.only_connection.requests[1].stdin
        tracemalloc.start()
        try:
            connection.send(body)
            until(lambda: stream.memory_bytes >= bound)
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert kept < 2 * bound + 2 * 65_536
        gate.open.set()
        connection.send(wire.stdin(1, b""))
        assert len(connection.response().body) == bound
        if multiplexed:
            connection.send(wire.abort_request(2))
            connection.response(2)


def test_where_multiplexing_is_off_it_is_said_and_a_second_request_refused(serving):
    gate = Gate()
    with (
        serving(gate, max_concurrent_requests_per_connection=1) as site,
        site.connect() as connection,
    ):
        connection.send(wire.get_values("FCGI_MPXS_CONNS"))
        assert connection.values() == {"FCGI_MPXS_CONNS": "0"}
        assert not site.only_connection.multiplexed
        connection.send(begin(1), begin(2), wire.stdin(2, b""))
        refused = connection.response(2)
        assert (refused.protocol_status, refused.status) == (wire.CANT_MPX_CONN, 503)
        gate.open.set()
        assert connection.response(1).body == b"through"


def test_a_management_record_of_unknown_type_is_answered_so(serving):
    with serving(hello) as site, site.connect() as connection:
        connection.send(wire.record(77, 0, b"what?"))
        assert connection.read_any().content[0] == 77
        connection.send(wire.request(1, wire.cgi_params()))
        assert connection.response().body == b"hello"


def test_a_filter_reads_its_file_beside_its_body(serving):
    def application(environ, start_response):
        start_response("200 OK", [])
        return [environ["gfcgi.data"].read(), environ["wsgi.input"].read()]

    with serving(application) as site, site.connect() as connection:
        connection.send(begin(role=wire.FILTER), wire.stdin(1, b"form"))
        connection.send(wire.data(1, b"file", chunk=1))
        assert connection.response().body == b"fileform"


def test_data_for_a_filter_that_is_not_there_does_no_harm(serving):
    with serving(hello) as site, site.connect() as connection:
        connection.send(begin(role=wire.FILTER))
        assert connection.response().body == b"hello"
        connection.send(wire.stdin(1, b""), wire.data(1, b"late"))
        connection.send(begin(2), wire.stdin(2, b""))
        assert connection.response(2).body == b"hello"


class Observer:
    def request_begun(self, observed):
        pass

    def request_ended(self, observed):
        pass


@pytest.mark.parametrize("observers", [(), (Observer(),)], ids=["", "observed"])
@pytest.mark.parametrize("path", ["/at-once", "/later"])
@pytest.mark.parametrize("threads", [0, 2], ids=["greenlets", "threads"])
def test_nothing_of_a_request_or_its_connection_waits_for_the_garbage_collector(
    serving, until, path, observers, threads
):
    def application(environ, start_response):
        if environ["PATH_INFO"] == "/later":
            (time if threads else gevent).sleep(0.001)
        environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]

    def objects():
        kinds = (Connection, ServerRequest, Input)
        return sum(isinstance(one, kinds) for one in gc.get_objects())

    with serving(application, observers=observers, threads=threads) as site:
        assert site.ask("GET", path).body == b"done"
        site.until_idle()
        gc.collect()
        gc.disable()
        before = objects()
        try:
            for _ in range(20):
                assert site.ask("GET", path).body == b"done"
            site.until_idle()
            until(lambda: objects() <= before)  # a thread lets go of its last one a moment later
        finally:
            gc.enable()


@pytest.mark.parametrize(
    "broken",
    [
        wire.record(wire.STDIN, 1, version=2),
        wire.record(wire.STDIN, 0, b"x"),
        wire.request(1, wire.cgi_params(), keep_conn=True) + b"GET / HTTP/1.1\r\n",
        begin(1) + wire.record(wire.GET_VALUES, 0, b"\5"),
        begin(1)[:20],
    ],
    ids=["version", "request id 0", "after a request", "GET_VALUES", "end of file"],
)
def test_nothing_of_a_connection_that_dies_of_an_error_waits_for_the_garbage_collector(
    serving, caplog, broken
):
    def dies():
        with site.connect() as connection:
            connection.send(broken)
            if broken == begin(1)[:20]:
                connection.socket.shutdown(socket.SHUT_WR)
            for _ in connection.records_until_closed():
                pass
        site.until_idle()

    with serving(hello) as site:
        dies()
        gc.collect()
        gc.disable()
        kinds = (Connection, ServerRequest, RemoteProtocolError)
        others = [found for found in gc.get_objects() if isinstance(found, kinds)]
        try:
            for _ in range(5):
                dies()
            found = [one for one in gc.get_objects() if isinstance(one, kinds)]
            assert len(found) == len(others)
        finally:
            gc.enable()
    assert caplog.records
