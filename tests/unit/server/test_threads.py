"""gfcgi.server.threads: the application in operating-system threads, the server in one."""

from __future__ import annotations

import io
import logging
import threading
import time

import pytest
import webserver_side as wire
from wsgi_side import begin, echo, hello

from gfcgi.errors import RequestAborted
from gfcgi.server import threads
from gfcgi.wsgi.files import FileWrapper


def name(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [threading.current_thread().name.encode()]


class Waiting:
    """An application that waits in its thread until it is let on."""

    def __init__(self, run=hello):
        self.begun = threading.Event()
        self.open = threading.Event()
        self.calls = 0
        self.run = run

    def __call__(self, environ, start_response):
        self.calls += 1
        self.begun.set()
        assert self.open.wait(30)
        return self.run(environ, start_response)


def test_a_thread_is_started_when_it_is_needed_and_kept(serving, until):
    waiting = Waiting(name)
    with serving(waiting, threads=3) as site:
        first, second = site.connect(), site.connect()
        for connection in (first, second):
            connection.send(wire.request(1, wire.cgi_params()))
        until(lambda: waiting.calls == 2)
        waiting.open.set()
        names = {connection.response(1).body for connection in (first, second)}
        assert names == {b"gfcgi-1", b"gfcgi-2"}
        assert {site.ask().body for _ in range(4)} <= names
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("gfcgi-")]


def test_where_the_system_gives_no_thread_a_request_waits_for_another_or_is_refused(
    serving, until, monkeypatch, caplog
):
    waiting = Waiting()

    def start(self):
        raise RuntimeError("can't start new thread")

    with serving(waiting, threads=3) as site:
        with monkeypatch.context() as patch:
            patch.setattr(threads.Thread, "start", start)
            assert site.ask().status == 503
            assert "cannot start a thread: can't start new thread" in caplog.text
        first = site.connect()
        first.send(wire.request(1, wire.cgi_params()))
        until(waiting.begun.is_set)
        monkeypatch.setattr(threads.Thread, "start", start)
        second = site.connect()
        second.send(wire.request(1, wire.cgi_params()))
        until(lambda: site.server.active_requests == 2)
        waiting.open.set()
        assert [first.response(1).body, second.response(1).body] == [b"hello"] * 2


def test_requests_in_line_are_served_in_their_order_and_not_if_they_are_given_up(serving, until):
    order = []

    def note(environ, start_response):
        order.append(environ["PATH_INFO"])
        return hello(environ, start_response)

    waiting = Waiting(note)
    with serving(waiting, threads=1) as site:
        connection = site.connect()
        for number in range(1, 6):
            values = wire.cgi_params(path=f"/{number}")
            connection.send(wire.request(number, values, keep_conn=True))
        until(lambda: (site.server.active_requests, site.server.waiting_requests) == (1, 4))
        connection.send(wire.abort_request(3))
        assert connection.response(3).body == b""
        until(lambda: site.server.waiting_requests == 3)
        waiting.open.set()
        for number in (1, 2, 4, 5):
            assert connection.response(number).body == b"hello"
    assert order == ["/1", "/2", "/4", "/5"]


def test_a_small_body_is_there_before_the_thread_asks(serving):
    """A hop to the loop and back is spared. It is read as any other."""
    with serving(echo, threads=1) as site:
        for body in (b"", b"small", b"b" * 100_000):
            with site.connect() as connection:
                connection.send(wire.request(1, wire.cgi_params("POST", "/", body=body), body))
                assert connection.response(1).body == body


def test_a_body_that_arrives_in_pieces_is_read_in_others(serving):
    found = []

    def application(environ, start_response):
        stream = environ["wsgi.input"]
        found.append(stream.read(3))
        found.append(stream.readline())
        found.extend(iter(lambda: stream.read(100_000), b""))
        return hello(environ, start_response)

    body = b"one\n" + bytes(range(256)) * 2000
    with serving(application, threads=1) as site, site.connect() as connection:
        connection.send(wire.begin_request(1), wire.params(1, wire.cgi_params("POST", body=body)))
        for start in range(0, len(body), 70_000):
            connection.send(wire.stdin(1, body[start : start + 70_000], end=False))
        connection.send(wire.record(wire.STDIN, 1))
        assert connection.response(1).body == b"hello"
    assert b"".join(found) == body
    assert found[:2] == [b"one", b"\n"]


def test_a_filters_file_is_read_as_its_body_is(serving):
    def application(environ, start_response):
        data = environ["gfcgi.data"].read()
        start_response("200 OK", [])
        return [environ["wsgi.input"].read(), b"|", data]

    with serving(application, threads=1) as site, site.connect() as connection:
        values = wire.cgi_params("POST", body=b"body") | {"FCGI_DATA_LENGTH": "4"}
        connection.send(
            wire.begin_request(1, wire.FILTER),
            wire.params(1, values),
            wire.stdin(1, b"body"),
            wire.data(1, b"file"),
        )
        assert connection.response(1).body == b"body|file"


def test_a_file_is_sent_by_the_loop(serving, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4000)

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return environ["wsgi.file_wrapper"](path.open("rb"))

    with serving(application, threads=1) as site:
        assert site.ask().body == path.read_bytes()


def test_a_file_that_only_its_read_shows_is_read_in_the_thread(serving):
    readers = set()

    class File(io.BytesIO):
        def read(self, *size):
            readers.add(threading.current_thread().name)
            return super().read(*size)

    def application(environ, start_response):
        wrapper = environ["wsgi.file_wrapper"]
        assert issubclass(wrapper, FileWrapper)
        start_response("200 OK", [])
        return wrapper(File(b"f" * 100_000))

    with serving(application, threads=1) as site:
        assert site.ask().body == b"f" * 100_000
    assert readers == {"gfcgi-1"}


def test_many_small_blocks_are_whole_and_in_order(serving):
    blocks = [str(number).encode() * 50 for number in range(5000)]

    def application(environ, start_response):
        start_response("200 OK", [])
        return iter(blocks)

    with serving(application, threads=2) as site:
        assert site.ask().body == b"".join(blocks)


def test_a_response_that_fails_halfway_is_cut(serving):
    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"first"
        raise ValueError("on purpose")

    with serving(application, threads=1) as site, site.connect() as connection:
        connection.send(wire.request(1, wire.cgi_params()))
        response = connection.response(1)
    assert response.body == b"first"
    assert response.app_status == 1
    assert b"on purpose" in response.stderr


def test_the_client_has_its_response_while_close_takes_its_time(serving):
    class Slow(list):
        def close(self):
            assert going_on.wait(30)
            closed.set()

    going_on, closed = threading.Event(), threading.Event()

    def application(environ, start_response):
        start_response("200 OK", [])
        return Slow([b"there"])

    with serving(application, threads=1) as site:
        assert site.ask().body == b"there"
        assert site.server.active_requests == 1
        going_on.set()
    assert closed.is_set()


def test_error_output_comes_before_what_follows_it_and_goes_to_the_log_after_the_end(
    serving, caplog
):
    class Talking(list):
        def __init__(self, errors):
            super().__init__([b"body"])
            self.errors = errors

        def close(self):
            self.errors.write("too late\n")

    def application(environ, start_response):
        environ["wsgi.errors"].write("in time\n")
        start_response("200 OK", [])
        return Talking(environ["wsgi.errors"])

    with caplog.at_level(logging.WARNING), serving(application, threads=1) as site:
        response = site.ask()
        assert (response.body, response.stderr) == (b"body", b"in time\n")
        site.until_idle()
    assert "wsgi.errors, too late for the Web server: too late" in caplog.text


def test_error_output_that_the_loop_cannot_send_any_more_is_logged(serving, until, caplog):
    """The thread handed it on when the Web server was still there."""

    def application(environ, start_response):
        site.only_connection.output.lock.acquire()  # nothing can be sent
        environ["wsgi.errors"].write("handed on\n")
        begun.set()
        assert environ["gfcgi.aborted"].wait(30)
        return hello(environ, start_response)

    begun = threading.Event()
    with caplog.at_level(logging.WARNING), serving(application, threads=1) as site:
        connection = site.connect()
        connection.send(begin(), wire.stdin(1, b""))
        until(begun.is_set)
        served = site.only_connection
        connection.close()
        until(lambda: served.closed)
        served.output.lock.release()
        site.until_idle()
    assert "wsgi.errors, too late for the Web server: handed on" in caplog.text


@pytest.mark.parametrize("then", ["ends", "ends with much", "is cut", "goes on"])
def test_error_output_far_ahead_of_the_loop_is_left_out_and_that_is_said_once(
    serving, until, monkeypatch, then
):
    def application(environ, start_response):
        errors = environ["wsgi.errors"]
        site.only_connection.output.lock.acquire()  # nothing can be sent
        for _ in range(30):
            errors.write("x" * 99 + "\n")
        written.set()
        if then == "goes on":
            assert going_on.wait(30)
            errors.write("later\n")
        start_response("200 OK", [])
        yield b"b" * (threads.limits.THREAD_AHEAD_BYTES if then == "ends with much" else 1)
        if then == "is cut":
            raise ValueError("on purpose")

    monkeypatch.setattr(threads.limits, "THREAD_ERRORS_BYTES", 1000)
    written, going_on = threading.Event(), threading.Event()
    with serving(application, threads=1) as site, site.connect() as connection:
        connection.send(wire.request(1, wire.cgi_params()))
        until(written.is_set)
        tasks = list(site.server.runners._tasks.values())
        site.only_connection.output.lock.release()
        if then == "goes on":
            (task,) = tasks
            until(lambda: task._errors_taken == task._errors_given)
            going_on.set()
        printed = connection.response(1).stderr
    assert printed.count(b"error output are left out: too much at once\n") == 1
    if then == "is cut":
        return  # the traceback may be left out too
    sent = printed.count(b"x")
    assert 900 < sent < 1300
    lines = printed.replace(b"x" * 99 + b"\n", b"").decode().splitlines()
    left_out = 30 * 99 - sent
    assert (
        lines[0] == f"{left_out // 99 * 100} bytes of error output are left out: too much at once"
    )
    assert lines[1:] == (["later"] if then == "goes on" else [])


def test_what_is_left_out_is_said_in_the_log_where_the_web_server_has_gone(
    serving, until, monkeypatch, caplog
):
    def application(environ, start_response):
        site.only_connection.output.lock.acquire()  # nothing can be sent
        for _ in range(30):
            environ["wsgi.errors"].write("x" * 99 + "\n")
        written.set()
        assert environ["gfcgi.aborted"].wait(30)
        return hello(environ, start_response)

    monkeypatch.setattr(threads.limits, "THREAD_ERRORS_BYTES", 1000)
    written = threading.Event()
    with caplog.at_level(logging.WARNING), serving(application, threads=1) as site:
        connection = site.connect()
        connection.send(begin(), wire.stdin(1, b""))
        until(written.is_set)
        served = site.only_connection
        connection.close()
        until(lambda: served.closed)
        served.output.lock.release()
        site.until_idle()
    assert caplog.text.count("bytes of error output are left out: too much at once") == 1


def test_a_wait_for_the_abort_has_a_timeout(serving):
    def application(environ, start_response):
        found.append(environ["gfcgi.aborted"].wait(0.01))
        found.append(environ["gfcgi.aborted"].is_set())
        return hello(environ, start_response)

    found = []
    with serving(application, threads=1) as site:
        assert site.ask().body == b"hello"
    assert found == [False, False]


def test_what_another_thread_asks_after_the_end_is_refused(serving):
    kept = []

    def application(environ, start_response):
        kept.append(environ)
        return hello(environ, start_response)

    with serving(application, threads=1) as site:
        assert site.ask().body == b"hello"
        site.until_idle()
        (environ,) = kept
        refused = []

        def ask():
            for act in (environ["wsgi.input"].read, lambda: environ["gfcgi.aborted"].wait(30)):
                try:
                    refused.append(act())
                except RequestAborted:
                    refused.append("refused")

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(30)
        assert not thread.is_alive()
    assert refused == ["refused", False]


def test_a_web_server_that_does_not_read_makes_the_thread_wait(serving, until):
    taken = []

    def application(environ, start_response):
        start_response("200 OK", [])
        for number in range(2000):
            taken.append(number)
            yield bytes(10_000)

    with serving(application, threads=1) as site, site.connect() as connection:
        connection.send(wire.request(1, wire.cgi_params()))
        until(lambda: site.server.connections and site.only_connection.write_blocked)
        time.sleep(0.05)
        assert len(taken) < 200
        assert len(connection.response(1).body) == 20_000_000


def test_a_refused_request_is_logged_from_its_thread(serving, caplog):
    with serving(hello, threads=1) as site, site.connect() as connection:
        values = wire.cgi_params() | {"CONTENT_LENGTH": "many"}
        connection.send(wire.request(1, values))
        assert connection.response(1).status == 400
    assert "was refused" in caplog.text


@pytest.mark.parametrize("how", ["gateway", "loop"])
def test_an_error_of_ours_is_logged_and_costs_one_request(serving, monkeypatch, caplog, how):
    def fail(*_):
        raise MemoryError("on purpose")

    with serving(hello, threads=1) as site:
        with monkeypatch.context() as patch:
            if how == "gateway":
                patch.setattr(site.server.runners, "_answer", fail)
            else:
                patch.setattr(threads.ThreadRequest, "finish", finish_later(fail))
            with site.connect() as connection:
                connection.send(wire.request(1, wire.cgi_params()))
                assert connection.response(1).app_status == 1
        assert "on purpose" in caplog.text
        assert site.ask().body == b"hello"


def finish_later(fail):
    def finish(self, data=b"", app_status=0):
        self._go_ahead(len(data), fail)

    return finish
