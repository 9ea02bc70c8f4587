"""gfcgi.server.time_limit: a request that has run for too long is ended, and nothing else is."""

from __future__ import annotations

import contextlib
import threading
import time

import gevent
import pytest
import webserver_side as wire
from running.site import ways_to_wait
from wsgi_side import Gate, begin, echo, hello

from gfcgi.errors import RequestAborted, RequestTimedOut
from gfcgi.process.stacks import described
from gfcgi.wsgi.files import FileWrapper

LIMIT = 0.3
"""Seconds that a request may run here."""

LONG = b"x" * 4_000_000
"""More than the sockets' buffers hold."""

BOTH = pytest.mark.parametrize("threads", [0, 2], ids=["greenlets", "threads"])


class Slow:
    """An application that waits until it is let on, and keeps what became of it.

    ``before`` is what it does first: it may send a part of its response.
    """

    def __init__(self, threads=0, before=None):
        event, self.pause = ways_to_wait(threads=bool(threads))
        self.open, self.tidied = event(), event()
        self.before = before
        self.errors = []
        self.calls = 0

    def __call__(self, environ, start_response):
        self.calls += 1
        try:
            if self.before is not None:
                self.before(environ, start_response)
            while not self.open.is_set():
                self.pause(0.005)
            environ["wsgi.input"].read(1)
            start_response("200 OK", [("Content-Type", "text/plain")])(b"late")
            return [b"late"]
        except Exception as error:
            self.errors.append(error)
            raise
        finally:
            self.tidied.set()

    def let_on(self, until):
        self.open.set()
        until(self.tidied.is_set)


@pytest.fixture
def limited(serving):
    def limited(application, **options):
        options.setdefault("request_timeout_seconds", LIMIT)
        return serving(application, stack_of=described, **options)

    return limited


def ended(site):
    return lambda: not site.server.active_requests


# -- what the Web server gets


@BOTH
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_request_that_runs_for_too_long_gets_504(limited, until, threads, method, caplog):
    application = Slow(threads)
    with limited(application, threads=threads) as site:
        began = time.monotonic()
        response = site.ask(method, "/slow")
        assert time.monotonic() - began >= LIMIT * 0.9
        assert (response.status, response.app_status) == (504, 1)
        assert (b"504" in response.body) == (method == "GET")
        assert response.protocol_status == wire.REQUEST_COMPLETE
        application.let_on(until)
        until(ended(site))
    (error,) = application.errors
    assert type(error) is (RequestAborted if threads else RequestTimedOut)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"{method} /slow has run for ")
    assert "(request_timeout_seconds); its Web server gets 504. It stands in " in line
    assert "test_time_limit.py" in line.splitlines()[0]
    assert "in __call__" in "".join(line.splitlines()[1:])


@BOTH
@pytest.mark.parametrize(
    ("software", "length", "keep_conn", "way"),
    [
        ("nginx/1.22.1", True, False, wire.END_REQUEST),
        ("nginx/1.22.1", False, False, wire.ABORT_REQUEST),
        ("nginx/1.22.1", True, True, wire.ABORT_REQUEST),
        ("lighttpd/1.4.69", True, False, None),
        ("Caddy/v2", True, False, wire.END_REQUEST),
    ],
)
def test_a_response_that_has_begun_is_cut_as_its_web_server_can_tell(
    limited, until, threads, software, length, keep_conn, way
):
    def part(environ, start_response):
        headers = [("Content-Type", "text/plain"), *([("Content-LENGTH", "9")] if length else [])]
        start_response("200 OK", headers)(b"part")

    application = Slow(threads, part)
    with limited(application, threads=threads) as site, site.connect() as connection:
        connection.send(begin(keep_conn=keep_conn, SERVER_SOFTWARE=software), wire.stdin(1, b""))
        last = None
        while True:
            try:
                record = connection.read_record()
            except wire.WireClosed:
                break
            last = record.type
            if record.type in (wire.STDOUT, wire.END_REQUEST):
                assert b"504" not in record.content
            if record.type == wire.END_REQUEST:
                break
        assert last == (way or wire.STDOUT)
        application.let_on(until)
        until(ended(site))


def test_of_a_multiplexed_connection_one_request_ends_and_the_others_go_on(limited, until):
    application = Slow()
    gate = Gate()

    def either(environ, start_response):
        which = application if environ["PATH_INFO"] == "/slow" else gate
        return which(environ, start_response)

    with limited(either) as site, site.connect() as connection:
        connection.send(begin(1, path="/slow", PATH_INFO="/slow"), wire.stdin(1, b""))
        until(lambda: application.calls)
        gevent.sleep(LIMIT / 2)
        connection.send(begin(2), wire.stdin(2, b""))
        assert connection.response(1).status == 504
        gate.open.set()
        assert connection.response(2).body == b"through"
        connection.send(begin(1), wire.stdin(1, b""))
        assert connection.response(1).body == b"through"
    assert [type(error) for error in application.errors] == [RequestTimedOut]


@pytest.mark.parametrize("role", [wire.AUTHORIZER, wire.FILTER])
def test_a_request_of_every_role_has_its_end(limited, until, role):
    application = Slow()
    with limited(application) as site, site.connect() as connection:
        connection.send(begin(role=role))
        if role == wire.FILTER:
            connection.send(wire.stdin(1, b""), wire.data(1, b"file"))
        assert connection.response().status == 504
        until(ended(site))


@BOTH
def test_who_is_in_time_notices_nothing(limited, threads, caplog):
    _, pause = ways_to_wait(threads=bool(threads))

    def application(environ, start_response):
        pause(LIMIT / 10)
        return hello(environ, start_response)

    with limited(application, threads=threads) as site, site.connect() as connection:
        for _ in range(15):  # a kept connection is older than any request
            connection.send(begin(), wire.stdin(1, b""))
            assert connection.response().body == b"hello"
        assert not site.server._time_limit._began
    assert not caplog.records


@BOTH
def test_the_time_in_line_does_not_count(limited, until, threads):
    _, pause = ways_to_wait(threads=bool(threads))

    def application(environ, start_response):
        pause(LIMIT * 0.6)
        return hello(environ, start_response)

    one = {"threads": 1} if threads else {"max_concurrent_requests": 1}
    with limited(application, **one) as site:
        clients = [gevent.spawn(site.ask) for _ in range(4)]
        assert [client.get().status for client in clients] == [200] * 4


@BOTH
def test_at_the_very_moment_of_the_end_there_is_one_answer(limited, threads):
    """Whoever is first: the application or the limit."""
    _, pause = ways_to_wait(threads=bool(threads))

    def application(environ, start_response):
        pause(LIMIT * float(environ["QUERY_STRING"]))
        return hello(environ, start_response)

    with limited(application, threads=threads and 16) as site, site.connect() as connection:
        for number in range(1, 17):
            query = str(0.8 + number / 20)  # parts of the limit, which is kept to a quarter
            connection.send(begin(number, query=query), wire.stdin(number, b""))
        statuses = {connection.response(number).status for number in range(1, 17)}
    assert 504 in statuses
    assert statuses <= {200, 504}  # a busy machine may have them all too late


# -- what the application notices


def test_the_exception_comes_where_the_application_waits_and_lets_it_tidy_up(limited, until):
    done = []

    def application(environ, start_response):
        try:
            gevent.sleep(60)
        except Exception as error:
            done.append(error)
            gevent.sleep(0.01)
            raise
        finally:
            gevent.sleep(0.01)
            done.append("tidied")

    with limited(application) as site:
        assert site.ask().status == 504
        until(ended(site))
    error, tidied = done
    assert isinstance(error, RequestTimedOut)
    assert not isinstance(error, OSError)
    assert "request_timeout_seconds=0.3" in str(error)
    assert tidied == "tidied"


def test_an_application_that_swallows_it_can_send_nothing_and_is_named_once_more(
    limited, until, caplog
):
    swallowed, written = [], []

    def application(environ, start_response):
        until_seconds = time.monotonic() + 4 * LIMIT
        while time.monotonic() < until_seconds:
            try:
                gevent.sleep(0.01)
            except Exception as error:
                swallowed.append(error)
        try:
            start_response("200 OK", [])(b"too late")
        except RequestAborted as error:
            written.append(error)
        return [b"an error page of its own"]

    with limited(application) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        assert connection.response().status == 504
        assert site.server.active_requests == 1
        until(ended(site))
        assert not connection.readable(0)
    assert [type(error) for error in swallowed] == [RequestTimedOut]
    assert "more than 0.3 seconds" in str(written[0])
    first, second = [record.getMessage() for record in caplog.records]
    assert "its Web server gets 504" in first
    assert "its application still runs after" in second


def test_a_framework_that_makes_a_page_of_every_exception_changes_nothing(limited, until):
    def application(environ, start_response):
        try:
            gevent.sleep(60)
        except Exception:
            start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
            return [b"the framework's page"]

    with limited(application) as site:
        assert site.ask().status == 504
        until(ended(site))


@BOTH
def test_the_iterables_close_is_called(limited, until, threads):
    event, pause = ways_to_wait(threads=bool(threads))
    closed, go_on = event(), event()

    class Endless:
        def __iter__(self):
            while not go_on.is_set():
                pause(0.01)
                yield b"tick"

        def close(self):
            closed.set()

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return Endless()

    with limited(application, threads=threads) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        response = connection.response()
        assert (response.status, response.app_status) == (200, 1)
        until(closed.is_set)
        go_on.set()
        until(ended(site))


@BOTH
def test_a_close_that_takes_too_long_is_ended_too(limited, until, threads, caplog):
    event, pause = ways_to_wait(threads=bool(threads))
    seen, go_on = [], event()

    class Closes(list):
        def close(self):
            try:
                while not go_on.is_set():
                    pause(0.01)
            except Exception as error:
                seen.append(error)
                raise

    def application(environ, start_response):
        start_response("200 OK", [])
        return Closes([b"whole"])

    with limited(application, threads=threads) as site:
        assert site.ask().body == b"whole"
        if not threads:
            until(ended(site))
            assert [type(error) for error in seen] == [RequestTimedOut]
        else:
            until(lambda: caplog.records)
            go_on.set()
            until(ended(site))
    (record,) = caplog.records
    assert "its Web server has the response" in record.getMessage()


@BOTH
def test_a_read_of_the_body_is_ended(limited, until, threads):
    seen = []

    def application(environ, start_response):
        try:
            return echo(environ, start_response)
        except Exception as error:
            seen.append(error)
            raise

    with limited(application, threads=threads) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b"a part", end=False))
        assert connection.response().status == 504
        until(ended(site))
        connection.send(wire.stdin(1, b"the rest"), begin(2), wire.stdin(2, b"next"))
        assert connection.response(2).body == b"next"
    assert [type(error) for error in seen] == [RequestAborted if threads else RequestTimedOut]


@BOTH
@pytest.mark.parametrize("kind", ["write", "file"])
def test_a_write_to_a_slow_web_server_is_ended_and_its_record_is_whole(
    limited, until, threads, kind, tmp_path, caplog
):
    (tmp_path / "file").write_bytes(LONG)

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/next":
            return hello(environ, start_response)
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        if kind == "file":
            return FileWrapper(open(tmp_path / "file", "rb"))
        write(LONG)
        return []

    with limited(application, threads=threads) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        until(lambda: caplog.records)
        response = connection.response()  # raises if a record is cut in two
        assert response.app_status == 1
        assert len(response.body) < len(LONG)
        connection.send(begin(1, path="/next", PATH_INFO="/next"), wire.stdin(1, b""))
        assert connection.response().body == b"hello"
        until(ended(site))


@BOTH
@pytest.mark.parametrize(
    ("software", "keep_conn", "last"),
    [
        ("nginx/1.22.1", True, wire.ABORT_REQUEST),
        ("nginx/1.22.1", False, wire.ABORT_REQUEST),
        ("lighttpd/1.4.69", False, wire.STDOUT),
        ("HAProxy 2.6.12", True, wire.STDOUT),
    ],
)
def test_a_write_to_a_slow_web_server_is_cut_as_that_can_tell_though_its_application_has_gone(
    limited, until, threads, software, keep_conn, last, caplog
):
    """The cut waits for the record that is being written, longer than the application."""
    told = []

    class Observer:
        def request_begun(self, observed):
            pass

        def request_ended(self, observed):
            told.append((observed.status, observed.cut))

    def application(environ, start_response):
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"a part")
        write(LONG)
        return []

    options = {"threads": threads, "observers": [Observer()]}
    with limited(application, **options) as site, site.connect() as connection:
        params = begin(keep_conn=keep_conn, SERVER_SOFTWARE=software)
        connection.send(params, wire.stdin(1, b""))
        until(lambda: caplog.records)
        if not threads:
            until(ended(site))
        types = []
        with contextlib.suppress(wire.WireClosed):
            while wire.END_REQUEST not in types:
                types.append(connection.read_record().type)
        assert types[-1] == last
        until(ended(site))
    assert told == [("200 OK", True)]


@pytest.fixture
def held_up(limited, until, caplog):
    """A context manager: a site and a connection whose Web server does not read.

    So whatever is to be sent for a second request waits behind the first one's end.
    """

    @contextlib.contextmanager
    def held_up(second, **options):
        def application(environ, start_response):
            if environ["PATH_INFO"] == "/second":
                return second(environ, start_response)
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [LONG]

        with limited(application, **options) as site, site.connect() as connection:
            connection.send(begin(1), wire.stdin(1, b""))
            until(lambda: "GET / has run" in caplog.text and site.only_connection.write_blocked)
            connection.send(begin(2, path="/second", PATH_INFO="/second"), wire.stdin(2, b""))
            yield site, connection

    return held_up


def second_ended(caplog):
    return lambda: [record for record in caplog.records if "/second" in record.getMessage()]


def test_a_request_that_waits_for_others_to_send_has_its_end_behind_them(held_up, until, caplog):
    def framework(environ, start_response):
        try:
            gevent.sleep(60)
        except Exception:
            start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
            return [b"the framework's page"]

    with held_up(framework) as (site, connection):
        until(second_ended(caplog))
        assert connection.response(2).status == 504
        assert connection.response(1).app_status == 1
        until(ended(site))


def test_a_request_that_is_aborted_before_its_504_was_sent_is_only_aborted(held_up, until, caplog):
    application = Slow()
    with held_up(application) as (site, connection):
        until(second_ended(caplog))
        connection.send(wire.abort_request(2))
        until(lambda: 2 not in site.only_connection.requests)
        response = connection.response(2)
        assert (response.stdout, response.app_status) == (b"", 0)
        connection.response(1)
        until(ended(site))
    assert not [record for record in caplog.records if record.exc_info]


def test_a_page_of_ours_that_waits_is_replaced_by_the_504(held_up, until, caplog):
    """The exception comes where no application runs any more."""

    def fails(environ, start_response):
        raise ValueError("on purpose")

    with held_up(fails, stderr="with-stdout") as (site, connection):
        until(lambda: "request_timeout_seconds" in caplog.text and second_ended(caplog)()[1:])
        response = connection.response(2)
        assert response.status == 504
        assert b"on purpose" in response.stderr
        connection.response(1)
        until(ended(site))
    assert "an error in gfcgi itself" not in caplog.text


def test_the_applications_own_timeout_works_as_ever(limited, until):
    seen = []

    def application(environ, start_response):
        with gevent.Timeout(LIMIT / 6, False):
            gevent.sleep(60)
            seen.append("not reached")
        try:
            with gevent.Timeout(60):
                gevent.sleep(30)
        except RequestTimedOut as error:
            seen.append(type(error))
            raise

    with limited(application) as site:
        assert site.ask().status == 504
        until(ended(site))
    assert seen == [RequestTimedOut]


@BOTH
def test_a_web_server_that_leaves_first_or_at_the_same_time_is_no_error(
    limited, until, threads, caplog
):
    application = Slow(threads)
    with limited(application, threads=threads) as site:
        for _ in range(2):
            connection = site.connect()
            connection.send(begin(), wire.stdin(1, b""))
            connection.close()
        until(lambda: caplog.records)
        application.let_on(until)
        until(ended(site))
    assert not [record for record in caplog.records if record.exc_info]


def test_a_thread_is_busy_until_it_returns(limited, until):
    application = Slow(1)
    with limited(application, threads=1) as site:
        assert site.ask().status == 504
        with site.connect() as connection:
            connection.send(begin(), wire.stdin(1, b""))
            until(lambda: site.server.waiting_requests == 1)
            gevent.sleep(LIMIT)
            assert (site.server.active_requests, site.server.waiting_requests) == (1, 1)
            application.open.set()
            assert connection.response().body == b"latelate"
    assert [type(error) for error in application.errors] == [RequestAborted]


def test_a_loop_that_stood_still_gives_others_a_moment_more(limited, until, caplog):
    """What they have waited for has come meanwhile: they are not what took so long."""
    go_on = gevent.event.Event()

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/holds-up":
            until_seconds = time.monotonic() + 3 * LIMIT
            while time.monotonic() < until_seconds:
                pass
            go_on.set()
        go_on.wait()
        gevent.sleep(0.001)  # not done before the server looks again
        return hello(environ, start_response)

    with limited(application) as site, site.connect() as waits, site.connect() as holds_up:
        waits.send(begin(), wire.stdin(1, b""))
        until(lambda: site.server.active_requests)
        holds_up.send(begin(path="/holds-up", PATH_INFO="/holds-up"), wire.stdin(1, b""))
        assert holds_up.response().body == waits.response().body == b"hello"
    assert not caplog.records


def test_a_loop_that_stands_still_again_and_again_spares_nobody_for_ever(limited, until):
    application = Slow()
    with limited(application) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        until(lambda: application.calls)

        def hold_up():
            while not application.open.is_set():
                time.sleep(LIMIT)
                gevent.sleep(0.001)  # now the loop looks at the sockets

        holding_up = gevent.spawn(hold_up)
        try:
            assert connection.response().status == 504
        finally:
            application.let_on(until)
            holding_up.join()
        until(ended(site))


def test_without_a_limit_nobody_looks(serving):
    with serving(hello) as site:
        assert site.ask().body == b"hello"
        assert site.server._time_limit is None


def test_a_stop_waits_no_longer_for_who_has_run_for_too_long(limited, until):
    application = Slow()
    with limited(application) as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        until(lambda: application.calls)
        site.server.stop()
        assert connection.response().status == 504
        site.greenlet.get()


def test_where_it_stands_is_said_without_help_too(serving, until, caplog):
    application = Slow()
    with serving(application, request_timeout_seconds=LIMIT) as site:
        assert site.ask().status == 504
        until(ended(site))
    assert "in __call__" in caplog.text
    assert threading.active_count() >= 1
