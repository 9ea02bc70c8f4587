"""What applications return: no iterable keeps a request or the loop busy for ever."""

from __future__ import annotations

import itertools
import os
import time

import gevent
import pytest
import webserver_side as wire

ENOUGH = 3_000_000
"""Chunks after which an iterable that nobody stops breaks the test instead of the machine."""


class Endless:
    """An iterator without end that counts what it gives, and how often it was closed."""

    def __init__(self, made, chunk=b"tick", pause=None):
        made.append(self)
        self.chunk = chunk
        self.pause = pause
        self.given = 0
        self.closed = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.given += 1
        if self.given > ENOUGH:
            raise AssertionError("it was never stopped")
        if self.pause is not None:
            gevent.sleep(self.pause)
        return self.chunk

    def close(self):
        self.closed += 1


def generated(source):
    """A generator over ``source`` that closes it."""
    try:
        for chunk in source:  # noqa: UP028 - yield from would close it as well
            yield chunk
    finally:
        source.close()


class Again:
    """An iterable whose __iter__ makes another iterator; it is what must be closed."""

    def __init__(self, source):
        self.source = source

    def __iter__(self):
        return (chunk for chunk in self.source)

    def close(self):
        self.source.close()


class Indexed:
    """An iterable of the old protocol: __getitem__ alone."""

    def __init__(self, source):
        self.source = source

    def __getitem__(self, index):
        return next(self.source)

    def close(self):
        self.source.close()


class Closing:
    """Middleware of the usual kind."""

    def __init__(self, iterable, close):
        self.iterable = iter(iterable)
        self.close = close

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.iterable)


KINDS = {
    "ticking": lambda made: Endless(made, pause=0.002),
    "without a pause": Endless,
    "of empty chunks": lambda made: Endless(made, b""),
    "of empty chunks with pauses": lambda made: Endless(made, b"", 0.002),
    "one empty chunk in two": lambda made: Alternating(made),  # noqa: PLW0108 - it comes below
    "generator": lambda made: generated(Endless(made)),
    "iterable of its own iterator": lambda made: Again(Endless(made)),
    "by index": lambda made: Indexed(Endless(made)),
    "middleware": lambda made: Closing(source := Endless(made), source.close),
    "map": lambda made: Closing(map(bytes, source := Endless(made)), source.close),
    "bytearrays": lambda made: Endless(made, bytearray(b"tick")),
    "large chunks": lambda made: Endless(made, b"x" * 100_000),
    "text": lambda made: Endless(made, "tick"),
}


EMPTY = ("of empty chunks", "of empty chunks with pauses")


class Alternating(Endless):
    def __next__(self):
        return super().__next__() if self.given % 2 else super().__next__()[:0]


class Application:
    """Answers /endless with a kind of iterable, and everything else at once."""

    def __init__(self, kind, status, headers):
        self.kind = kind
        self.status = status
        self.headers = headers
        self.endless = []

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] != "/endless":
            start_response("200 OK", [])
            return [b"at once"]
        start_response(self.status, list(self.headers))
        return self.kind(self.endless)


def prompt(site):
    """Another request is served meanwhile, and soon."""
    begun = time.monotonic()
    assert site.ask("GET", "/other").body == b"at once"
    return time.monotonic() - begun < 5


@pytest.mark.parametrize("kind", [name for name in KINDS if name not in EMPTY])
@pytest.mark.parametrize(
    ("method", "status", "headers"),
    [
        ("HEAD", "200 OK", []),
        ("HEAD", "200 OK", [("Content-Length", "1000000000")]),
        ("GET", "204 No Content", []),
        ("GET", "304 Not Modified", []),
        ("GET", "200 OK", [("Content-Length", "10")]),
    ],
    ids=["HEAD", "HEAD with a length", "204", "304", "length used up"],
)
def test_an_endless_iterable_is_stopped_when_enough_is_sent(
    serving, until, kind, method, status, headers
):
    if kind == "text":
        headers = []  # what it counts is not certain, so it is not sent
        method = "HEAD" if status.startswith("200") else method
    application = Application(KINDS[kind], status, headers)
    with serving(application) as site, site.connect() as connection:
        connection.send(wire.request(1, wire.cgi_params(method, "/endless"), keep_conn=True))
        response = connection.response(1)
        assert response.status == int(status[:3])
        wanted = 10 if method == "GET" and status.startswith("200") else 0
        assert len(response.body) == wanted
        until(lambda: not site.server.active_requests)
        (source,) = application.endless
        assert source.closed == 1
        assert source.given <= 8
        assert prompt(site)


@pytest.mark.parametrize(
    ("method", "kind"), [("GET", kind) for kind in KINDS] + [("HEAD", kind) for kind in EMPTY]
)
def test_an_endless_iterable_is_stopped_when_the_web_server_leaves(serving, until, kind, method):
    application = Application(KINDS[kind], "200 OK", [])
    with serving(application) as site:
        connection = site.connect()
        connection.send(wire.request(1, wire.cgi_params(method, "/endless"), keep_conn=True))
        until(lambda: application.endless and application.endless[0].given)
        assert prompt(site)
        (source,) = application.endless
        assert source.closed == 0
        connection.close()
        until(lambda: source.closed)
        site.until_idle()
        assert source.closed == 1


def test_as_many_heads_as_requests_may_run_leave_room_for_others(serving, until):
    """HEAD on an endless stream, six times, where six requests may run at once."""
    application = Application(KINDS["ticking"], "200 OK", [])
    with serving(application, max_concurrent_requests=6) as site:
        for _ in range(6):
            assert site.ask("HEAD", "/endless").status == 200
        assert prompt(site)
        until(lambda: not site.server.active_requests)
        assert [source.closed for source in application.endless] == [1] * 6


@pytest.mark.parametrize("written", [b"", b"x"], ids=["empty", "to a HEAD"])
def test_writing_without_end_holds_nobody_up(serving, until, written):
    ended = []

    def application(environ, start_response):
        write = start_response("200 OK", [])
        if environ["PATH_INFO"] == "/other":
            return [b"at once"]
        try:
            for _ in range(ENOUGH * 10):
                write(written)
        finally:
            ended.append(True)
        return []

    with serving(application) as site:
        connection = site.connect()
        connection.send(wire.request(1, wire.cgi_params("HEAD", "/endless"), keep_conn=True))
        until(lambda: site.server.active_requests)
        assert prompt(site)
        connection.close()
        until(lambda: ended)


def test_what_an_application_does_after_its_last_chunk_runs(serving, until):
    """Its Content-Length is used up, and still the code behind its last yield is run once."""
    done = []

    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "5")])

        def body():
            yield b"whole"
            done.append("after the last chunk")

        return body()

    with serving(application) as site:
        assert site.ask().body == b"whole"
        until(lambda: done)


def test_the_last_chunk_of_a_content_length_leaves_with_the_end_of_the_request(serving, sends):
    """HAProxy closes a kept connection where the two come in two reads."""

    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "6")])
        yield b"one"
        yield b"two"

    with serving(application) as site, site.connect() as connection:
        connection.send(wire.request(1, wire.cgi_params(), keep_conn=True))
        assert connection.response(1).body == b"onetwo"
        assert len(sends) == 2


# -- reading files


class Skipping:
    """A file that is read from its start up to a place, as without seek for a Range request."""

    def __init__(self, blocks):
        self.blocks = blocks

    def read(self, size):
        if self.blocks == 0:
            return b""
        self.blocks -= 1
        began = time.process_time()
        while time.process_time() - began < 0.001:
            pass
        return b"b" * 10


def test_skipping_the_beginning_of_a_file_by_reading_it_holds_nobody_up(serving, until):
    """What reads blocks and sends nothing gives way all the same."""
    begun = []

    def application(environ, start_response):
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/other":
            return [b"at once"]
        wrapper = environ["wsgi.file_wrapper"](Skipping(1000))
        begun.append(wrapper)
        skipped = sum(len(block) for block in itertools.islice(wrapper, 999))
        return [b"%d" % skipped]

    with serving(application) as site, site.connect() as connection:
        connection.send(wire.request(1, wire.cgi_params("GET", "/skip"), keep_conn=True))
        until(lambda: begun)
        started = time.monotonic()
        assert site.ask("GET", "/other").body == b"at once"
        assert site.server.active_requests == 1, "it waited for the end of the reading"
        assert time.monotonic() - started < 1.5
        assert connection.response(1).body == b"9990"


def test_a_range_of_a_large_file_is_answered_without_reading_what_comes_before(serving, tmp_path):
    """Flask's send_file(conditional=True), by way of werkzeug's own wrapper of ours."""
    flask = pytest.importorskip("flask")
    path = tmp_path / "large"
    with path.open("wb") as file:
        os.truncate(file.fileno(), 3 << 30)
        file.seek((3 << 30) - 10)
        file.write(b"0123456789")
    app = flask.Flask(__name__)

    @app.get("/by-name")
    def by_name():
        return flask.send_file(path, conditional=True)

    with serving(app) as site:
        begun = time.process_time()
        response = site.ask("GET", "/by-name", HTTP_RANGE="bytes=-10")
        assert (response.status, response.body) == (206, b"0123456789")
        # Reading 3 GB costs seconds.
        assert time.process_time() - begun < 1
