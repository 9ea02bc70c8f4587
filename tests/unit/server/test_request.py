"""gfcgi.server.request: what an application writes, over a Web server that takes its time."""

from __future__ import annotations

import os
import time

import gevent
import pytest
import webserver_side as wire
from gevent.hub import get_hub
from wsgi_side import Gate, begin, echo, hello

from gfcgi import limits
from gfcgi.errors import RequestAborted

LONG = os.urandom(1 << 20) * 3
"""More than the sockets' buffers hold."""


def writer(*pieces):
    """An application that writes ``pieces``."""

    def application(environ, start_response):
        write = start_response("200 OK", [("Content-Type", "application/octet-stream")])
        for piece in pieces:
            write(piece)
        return []

    return application


def blocked(site):
    return site.server.connections and site.only_connection.write_blocked


@pytest.mark.parametrize(
    "body",
    [[LONG], [b"first", LONG], (LONG[:40_000], LONG[:70_000])],
    ids=["one", "two", "tuple"],
)
def test_a_long_body_arrives_whole(serving, body):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return body

    with serving(application) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        response = connection.response()
        assert response.body == b"".join(body)
        assert all(len(record.content) + record.padding <= 65_536 for record in response.records)


def test_a_long_piece_that_is_written_arrives_whole(serving):
    with serving(writer(LONG, b"end")) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        assert connection.response().body == LONG + b"end"


def test_a_web_server_that_does_not_read_stops_the_application(serving, until):
    written = []

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        for _ in range(1000):
            written.append(1)
            yield b"x" * 65_536

    with serving(application) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        until(lambda: blocked(site))
        assert len(written) < 100
        assert len(connection.response().body) == 65_536_000


@pytest.mark.parametrize("way", ["write", "file"])
def test_a_web_server_that_takes_all_at_once_does_not_leave_the_others_waiting(
    serving, tmp_path, way
):
    (tmp_path / "file").write_bytes(b"x")
    others = []

    def application(environ, start_response):
        write = start_response("200 OK", [])
        send_file = environ["wsgi.errors"]._request.send_file
        write(b"x")
        with get_hub().loop.timer(0) as timer, (tmp_path / "file").open("rb") as file:
            timer.start(others.append, "a turn")
            for _ in range(50):  # far less than the socket's buffer holds
                began = time.monotonic()
                while time.monotonic() < began + 0.001:
                    pass
                if way == "write":
                    write(b"x")
                else:
                    send_file(file.fileno(), 0, 1)
                if others:
                    break
        return []

    with serving(application) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        assert set(connection.response().body) == set(b"x")
    assert others


@pytest.mark.parametrize("bound", [1000, limits.STDIN_BUFFER_BYTES])
def test_an_application_that_does_not_read_stops_the_web_server(serving, until, bound):
    gate = Gate()

    def application(environ, start_response):
        gate(environ, start_response)
        return [environ["wsgi.input"].read()]

    with serving(application, stdin_buffer_bytes=bound) as site, site.connect() as connection:
        connection.send(begin())
        gate.begun.wait()
        sending = gevent.spawn(connection.send, wire.stdin(1, LONG))
        until(lambda: site.server.connections and site.only_connection.paused)
        stream = site.only_connection.requests[1].stdin
        # What a read asks for follows the room that is left, down to 4 KB.
        assert stream.memory_bytes <= bound + 4096
        assert not sending.ready()
        gate.open.set()
        assert connection.response().body == LONG


def test_answers_of_one_connection_are_mixed_as_whole_records(serving):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        for _ in range(20):
            yield environ["PATH_INFO"][1:].encode() * 50_000
            environ["wsgi.errors"].write("a line\n")

    with serving(application) as site, site.connect() as connection:
        for request_id in range(1, 8):
            connection.send(begin(request_id, path=f"/{request_id}"), wire.stdin(request_id, b""))
        for request_id in range(1, 8):
            response = connection.response(request_id)
            assert response.body == b"%d" % request_id * 50_000 * 20
            assert response.stderr == b"a line\n" * 20


def test_bodies_are_received_while_a_write_is_blocked(serving, until):
    gate = Gate(echo)

    def application(environ, start_response):
        chosen = gate if environ["PATH_INFO"] == "/read" else writer(LONG)
        return chosen(environ, start_response)

    with serving(application) as site, site.connect() as connection:
        connection.send(begin(1, path="/read"), begin(2, path="/write"), wire.stdin(2, b""))
        until(lambda: blocked(site))
        connection.send(wire.stdin(1, b"arrived"))
        until(gate.ended.is_set)
        assert connection.response(1).body == b"arrived"
        assert connection.response(2).body == LONG


def test_questions_are_not_read_while_their_answers_cannot_be_written(serving, until, accepted):
    """Or a Web server that only asks could fill the memory."""
    questions = 60_000
    with serving(writer(LONG)) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        until(lambda: blocked(site))
        sending = gevent.spawn(connection.send, wire.record(77, 0) * questions)
        gevent.sleep(0.05)
        assert not sending.ready()
        (served,) = accepted
        assert served.received <= limits.STDIN_BUFFER_BYTES
        assert connection.response().body == LONG
        while len(connection.management) < questions:
            connection.read_any()
        sending.get()


def test_aborted_requests_send_nothing_after_a_blocked_write(serving, until):
    """They wait for the lock when the ABORT comes; the wire side is strict about what follows."""

    def application(environ, start_response):
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        if environ["PATH_INFO"] == "/long":
            return [LONG]
        write(b"late" * 1000)
        return []

    with serving(application) as site, site.connect() as connection:
        connection.send(begin(1, path="/long"), wire.stdin(1, b""))
        until(lambda: blocked(site))
        connection.send(*(begin(number) + wire.stdin(number, b"") for number in range(2, 12)))
        connection.send(*(wire.abort_request(number) for number in range(2, 12)))
        until(lambda: site.server.active_requests == 11)
        assert connection.response(1).body == LONG
        for number in range(2, 12):
            connection.response(number)
        connection.send(begin(2, path="/again"), wire.stdin(2, b""))
        assert connection.response(2).body == b"late" * 1000


@pytest.mark.parametrize("method", ["write", "write_error", "send_file", "finish"])
def test_an_abort_while_waiting_to_write_is_request_aborted(serving, until, tmp_path, method):
    """The request's id is not active any more when its turn to write comes."""
    gate = Gate()
    path = tmp_path / "file"
    path.write_bytes(b"content")
    requests = []

    def run(environ, start_response):
        request = requests[-1]
        with path.open("rb") as file:
            arguments = (file.fileno(), 0, 7) if method == "send_file" else (b"content",)
            getattr(request, method)(*arguments)

    gate.run = run

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/long":
            return writer(LONG)(environ, start_response)
        requests.append(site.only_connection.requests[2])
        return gate(environ, start_response)

    with serving(application) as site, site.connect() as connection:
        connection.send(begin(1, path="/long"), wire.stdin(1, b""))
        until(lambda: blocked(site))
        connection.send(begin(2), wire.stdin(2, b""))
        gate.begun.wait()
        connection.send(wire.abort_request(2))
        until(requests[-1].aborted.is_set)
        assert connection.response(1).body == LONG
        assert connection.response(2).stdout == b""
        gate.ended.wait()
        assert isinstance(gate.error, RequestAborted)
        connection.send(begin(3, path="/long"), wire.stdin(3, b""))
        assert connection.response(3).body == LONG


def test_nothing_is_written_after_the_end(serving, caplog):
    late = []

    def application(environ, start_response):
        write = start_response("200 OK", [])
        late.append((write, environ["wsgi.errors"]))
        return iter([b"who", b"le"])

    with serving(application) as site:
        assert site.ask().body == b"whole"
        write, errors = late[0]
        with pytest.raises(RequestAborted, match="ended"):
            write(b"more")
        errors.write("said too late\n")
    assert "said too late" in caplog.text


# -- exceptions thrown into a write


def test_a_timeout_in_a_blocked_write_cuts_no_record(serving, until):
    """The application's own gevent.Timeout; the Web server reads on and finds whole records."""

    def application(environ, start_response):
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        with gevent.Timeout(0.01, False):
            write(LONG)
        return [b"after the timeout"]

    with serving(application) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        until(lambda: blocked(site))
        gevent.sleep(0.02)
        response = connection.response()
        assert response.body.endswith(b"after the timeout")
        sent = response.body.removesuffix(b"after the timeout")
        assert LONG.startswith(sent)
        connection.send(begin(), wire.stdin(1, b""))
        assert connection.response().ended


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "waiting for the lock"])
def test_a_request_killed_in_its_last_write_still_ends(serving, until, others):
    running = {}

    def application(environ, start_response):
        running[environ["PATH_INFO"]] = gevent.getcurrent()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [LONG]

    with serving(application) as site, site.connect() as connection:
        connection.send(begin(2, path="/first"), wire.stdin(2, b""))
        until(lambda: blocked(site))
        victim = "/first"
        if others:
            connection.send(begin(1, path="/second"), wire.stdin(1, b""))
            until(lambda: "/second" in running)
            victim = "/second"
        gevent.kill(running[victim])
        if others:
            assert connection.response(1).ended
        assert connection.response(2).ended
        connection.send(begin(1, path="/third"), wire.stdin(1, b""))
        assert connection.response(1).body == LONG


@pytest.mark.parametrize("keep_conn", [True, False])
def test_a_request_killed_in_the_very_write_of_its_end_still_ends(serving, until, keep_conn):
    """There is nobody left who would write what is left over."""
    running = []

    def application(environ, start_response):
        running.append(gevent.getcurrent())
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [LONG[:400_000]]

    with serving(application) as site, site.connect() as connection:
        connection.send(begin(keep_conn=keep_conn), wire.stdin(1, b""))
        until(lambda: blocked(site))
        gevent.kill(running[0])
        until(lambda: not site.server.active_requests)
        assert connection.response().body == LONG[:400_000]
        if keep_conn:
            connection.send(begin(), wire.stdin(1, b""))
            assert connection.response().body == LONG[:400_000]
        else:
            connection.wait_closed()


def test_what_a_killed_request_left_over_is_lost_with_the_connection(serving, until):
    gate = Gate(writer(LONG))
    running = []

    def application(environ, start_response):
        running.append(gevent.getcurrent())
        return gate(environ, start_response)

    with serving(application) as site:
        with site.connect() as connection:
            connection.send(begin(), wire.stdin(1, b""))
            until(lambda: blocked(site))
            gevent.kill(running[0])
            gate.ended.wait()
        site.until_idle()


# -- files


def file_application(path, *, timeout=None):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        if timeout is not None:
            gevent.Timeout.start_new(timeout)
        return environ["wsgi.file_wrapper"](path.open("rb"))

    return application


@pytest.fixture
def long_file(tmp_path):
    path = tmp_path / "long"
    path.write_bytes(LONG)
    return path


def test_a_file_arrives_whole_beside_other_answers(serving, long_file):
    def application(environ, start_response):
        if environ["PATH_INFO"] == "/file":
            return file_application(long_file)(environ, start_response)
        return hello(environ, start_response)

    with serving(application) as site, site.connect() as connection:
        connection.send(begin(1, path="/file"), wire.stdin(1, b""))
        connection.send(*(begin(n) + wire.stdin(n, b"") for n in range(2, 20)))
        response = connection.response(1)
        assert response.body == LONG
        assert response.header("Content-Length") == str(len(LONG))
        for number in range(2, 20):
            assert connection.response(number).body == b"hello"


def test_a_file_that_shrinks_while_it_is_sent_ends_the_connection(
    serving, long_file, until, caplog
):
    with serving(file_application(long_file)) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        until(lambda: blocked(site))
        os.truncate(long_file, 10_000)
        with pytest.raises(wire.WireClosed):
            connection.response()
        site.until_idle()
    assert "the file ended" in caplog.text


def test_a_timeout_while_a_file_is_sent_ends_the_connection(serving, long_file, until):
    with (
        serving(file_application(long_file, timeout=0.01)) as site,
        site.connect() as connection,
    ):
        connection.send(begin(), wire.stdin(1, b""))
        until(lambda: blocked(site))
        gevent.sleep(0.02)
        with pytest.raises(wire.WireClosed):
            connection.response()
        site.until_idle()


def test_a_file_to_a_web_server_that_left_is_request_aborted(serving, long_file, until, caplog):
    caplog.set_level("DEBUG", "gfcgi.wsgi")
    with serving(file_application(long_file)) as site:
        with site.connect() as connection:
            connection.send(begin(), wire.stdin(1, b""))
            until(lambda: blocked(site))
        site.until_idle()
    (record,) = [record for record in caplog.records if record.name == "gfcgi.wsgi"]
    assert record.levelname == "DEBUG"
    assert "was lost" in record.getMessage()


def test_a_file_that_cannot_be_read_is_the_applications_failure(serving, tmp_path, caplog, until):
    def application(environ, start_response):
        request = site.only_connection.requests[1]
        start_response("200 OK", [])
        descriptor = os.open(tmp_path, os.O_RDONLY)
        try:
            request.send_file(descriptor, 0, 100)
        finally:
            os.close(descriptor)

    with serving(application) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        with pytest.raises(wire.WireClosed):
            connection.response()
        site.until_idle()
    assert "the application failed" in caplog.text
