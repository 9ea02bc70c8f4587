"""HTTP client, front, real FastCGI, server and application: all of it, in this process."""

from __future__ import annotations

import gc
import hashlib
import http.client
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from wsgiref.validate import validator

import gevent
import gevent.event
import gevent.socket
import greenlet
import pytest

from gfcgi import Server
from gfcgi.client.http import HttpFront


class HttpConnection(http.client.HTTPConnection):
    """http.client over a gevent socket, so that the rest in this same thread goes on."""

    def connect(self):
        self.sock = gevent.socket.create_connection((self.host, self.port))


class Site:
    """An application behind the server behind the front."""

    def __init__(self, application, path) -> None:
        listener = gevent.socket.socket(gevent.socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1024)

        def connect():
            sock = gevent.socket.socket(gevent.socket.AF_UNIX)
            sock.connect(path)
            return sock

        self.server = Server(application, [listener])
        self.server.start()
        self.errors: list[str] = []
        self.front = HttpFront(
            ("127.0.0.1", 0), connect, on_error_log=self.errors.append, allowed_hosts=["x"]
        )
        self.front.start()

    @contextmanager
    def connect(self) -> Iterator[HttpConnection]:
        connection = HttpConnection(*self.front.address)
        try:
            yield connection
        finally:
            connection.close()

    def ask(self, method="GET", target="/", body=None, headers=(), **options):
        """One request on a connection of its own: the response and its body."""
        with self.connect() as connection:
            connection.request(method, target, body, dict(headers), **options)
            response = connection.getresponse()
            return response, response.read()

    def wait_idle(self) -> None:
        """Until nothing runs in the server: a front that closed is noticed a little later."""
        while self.server.active_requests or self.server.connections:
            gevent.sleep(0.001)


@pytest.fixture
def site(tmp_path) -> Callable[..., AbstractContextManager[Site]]:
    @contextmanager
    def site(application) -> Iterator[Site]:
        running = Site(application, str(tmp_path / "app.sock"))
        try:
            yield running
        finally:
            running.front.stop()
            running.wait_idle()
            running.server.stop()
            running.server.serve()

    return site


def hashing(environ, start_response):
    digest = hashlib.sha256()
    total = 0
    while chunk := environ["wsgi.input"].read(50_000):
        digest.update(chunk)
        total += len(chunk)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['REQUEST_METHOD']} {total} {digest.hexdigest()}".encode()]


def hashed(method, content):
    return f"{method} {len(content)} {hashlib.sha256(content).hexdigest()}".encode()


def test_get_and_head_through_the_validator(site):
    @validator
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{environ['PATH_INFO']}|{environ['QUERY_STRING']}".encode("latin-1")]

    with site(application) as running:
        response, body = running.ask("GET", "/caf%C3%A9?a=b")
        assert (response.status, body) == (200, "/café|a=b".encode())
        head, body = running.ask("HEAD", "/caf%C3%A9?a=b")
        assert (head.status, body) == (200, b"")
        assert head.headers["Content-Length"] == response.headers["Content-Length"]
        assert running.errors == []


def test_uploads_arrive_unchanged(site):
    content = os.urandom(10_000_000)
    with site(hashing) as running:
        assert running.ask("POST", body=b"a=b")[1] == hashed("POST", b"a=b")
        assert running.ask("POST", body=content)[1] == hashed("POST", content)
        pieces = [content[at : at + 99_999] for at in range(0, len(content), 99_999)]
        chunked = running.ask("PUT", body=iter(pieces), encode_chunked=True)[1]
        assert chunked == hashed("PUT", content)


def test_a_large_download_arrives_unchanged(site):
    block = os.urandom(100_000)

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return (block for _ in range(100))

    with site(application) as running:
        assert running.ask()[1] == block * 100


def test_server_sent_events_arrive_one_by_one(site):
    go_on = gevent.event.Event()

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        for number in range(5):
            yield b"data: %d\n\n" % number
            go_on.wait()
            go_on.clear()

    with site(application) as running, running.connect() as connection:
        connection.request("GET", "/")
        response = connection.getresponse()
        for number in range(5):
            assert response.read1(100) == b"data: %d\n\n" % number
            go_on.set()
        assert response.read() == b""


def test_an_upload_that_is_answered_early_leaves_its_connection_usable(site):
    def application(environ, start_response):
        start_response("413 Content Too Large", [("Content-Type", "text/plain")])
        return [b"too large"]

    with site(application) as running, running.connect() as connection:
        for _ in range(3):
            connection.request("POST", "/", body=bytes(5_000_000))
            response = connection.getresponse()
            assert (response.status, response.read()) == (413, b"too large")
            assert connection.sock is not None


def test_an_exception_is_a_500_and_its_traceback_goes_to_the_error_log(site, caplog):
    def application(environ, start_response):
        raise KeyError("the application's own")

    with site(application) as running:
        response, body = running.ask()
        assert response.status == 500
        assert b"the application's own" not in body
        assert any("the application's own" in line for line in running.errors)


def test_an_http_client_that_leaves_ends_a_stream_and_closes_its_iterable(site):
    closed = gevent.event.Event()

    class Endless:
        def __iter__(self):
            while True:
                yield b"data: x\n\n"
                gevent.sleep(0.001)

        def close(self):
            closed.set()

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return Endless()

    with site(application) as running:
        with running.connect() as connection:
            connection.request("GET", "/")
            assert connection.getresponse().read1(100)
        closed.wait()


@pytest.mark.parametrize("sent", [b"", b"\r\nContent-Length: 9"], ids=["waiting", "in mid-upload"])
def test_an_http_client_that_leaves_before_the_response_is_told_to_the_application(site, sent):
    waiting = gevent.event.Event()
    aborted = gevent.event.Event()

    def application(environ, start_response):
        waiting.set()
        environ["gfcgi.aborted"].wait()
        aborted.set()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"nobody hears this"]

    with site(application) as running:
        with gevent.socket.create_connection(running.front.address) as sock:
            sock.sendall(b"POST / HTTP/1.1\r\nHost: x%b\r\n\r\nabc" % sent)
            waiting.wait()
        aborted.wait()


def test_requests_that_wait_do_so_together(site):
    inside = 0
    all_there = gevent.event.Event()

    def application(environ, start_response):
        nonlocal inside
        inside += 1
        if inside == 200:
            all_there.set()
        all_there.wait()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"together"]

    with site(application) as running:
        asked = [gevent.spawn(running.ask) for _ in range(200)]
        assert [one.get()[1] for one in asked] == [b"together"] * 200


def test_nothing_is_left_of_clients_that_left(site):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"first"
        if environ["REQUEST_METHOD"] == "POST":
            environ["wsgi.input"].read()
        environ["gfcgi.aborted"].wait()

    def greenlets():
        gc.collect()
        return [one for one in gc.get_objects() if isinstance(one, greenlet.greenlet) and bool(one)]

    def descriptors():
        for fd in os.listdir("/proc/self/fd"):
            with suppress(FileNotFoundError):  # the listing's own
                yield fd, os.readlink(f"/proc/self/fd/{fd}")

    # Those of tests before this one may end meanwhile.
    others = {id(one): one for one in greenlets()}
    their_descriptors = set(descriptors())

    def count():
        ours = sum(id(one) not in others for one in greenlets())
        return ours, len(set(descriptors()) - their_descriptors)

    def settled(running):
        """The counts that stay: the front closes its side a little later than the server."""
        running.wait_idle()
        last, now = None, count()
        while now != last:
            gevent.sleep(0.05)
            last, now = now, count()
        return now

    def leave(running, request):
        with gevent.socket.create_connection(running.front.address) as sock:
            sock.sendall(request)
            assert sock.recv(65536).startswith(b"HTTP/1.1 200")

    requests = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc",
    ]
    with site(application) as running:
        for request in requests:
            leave(running, request)
        before = settled(running)
        for request in requests * 25:
            leave(running, request)
        assert settled(running) == before
