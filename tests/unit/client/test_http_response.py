"""The application's answer as the front hands it to the HTTP client, and what it makes of none."""

from __future__ import annotations

import http.client

import gevent.event
import gevent.socket
import pytest
from application_side import HEAD, Application, hello, refuse
from webserver_side import UNKNOWN_ROLE

from gfcgi.client.http import HttpFront


def test_a_response_is_passed_on_with_every_header(front_of):
    def script(request):
        request.stdout(
            b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX: caf\xe9\r\nServer: mine\r\n"
            b"Connection: close\r\nTransfer-Encoding: chunked\r\nStatus: 418 Teapot\r\n\r\nbody"
        )
        request.end()

    with front_of(script) as front:
        connection = front.connect()
        for _ in range(2):  # the second on the same connection, which stays open
            connection.request("GET", "/")
            response = connection.getresponse()
            assert (response.status, response.reason) == (418, "Teapot")
            assert response.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
            assert response.headers["X"] == "caf\xe9"
            assert response.headers.get_all("Server") == ["mine"]
            assert response.headers.get_all("Connection") is None
            assert response.read() == b"body"
            assert connection.sock is not None
        connection.close()


def test_headers_and_events_arrive_one_by_one(front_of):
    go_on = gevent.event.Event()

    def script(request):
        request.stdout(b"Content-Type: text/event-stream\r\n\r\n")
        for number in range(3):
            go_on.wait()
            go_on.clear()
            request.stdout(b"data: %d\n\n" % number)
        go_on.wait()
        request.end()

    with front_of(script) as front:
        connection = front.connect()
        connection.request("GET", "/")
        response = connection.getresponse()  # before any of the body is there
        assert response.headers["Content-Type"] == "text/event-stream"
        for number in range(3):
            go_on.set()
            assert response.read1(100) == b"data: %d\n\n" % number
        go_on.set()
        assert response.read() == b""
        connection.close()


def test_location_without_a_status_redirects(front_of):
    def script(request):
        request.stdout(b"Location: /there\r\n\r\n")
        request.end()

    with front_of(script) as front:
        status, headers, _ = front.get()
    assert (status, headers["Location"]) == (302, "/there")


@pytest.mark.parametrize("length", [b"", b"Content-Length: 4\r\n"])
def test_head_has_headers_alone_and_the_connection_stays_usable(front_of, length):
    def script(request):
        request.stdout(length + b"Status: 200\r\n\r\nbody")
        request.end()

    with front_of(script) as front:
        answer = front.raw(
            b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
            b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
    heads = answer.split(b"\r\n\r\n")
    assert heads.pop() == b""
    assert len(heads) == 2
    for head in heads:
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert (b"Content-Length: 4" in head) == bool(length)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_statuses_without_a_body_have_none(front_of, status):
    def script(request):
        request.stdout(b"Status: %b\r\nContent-Length: 4\r\nETag: x\r\n\r\nbody" % status)
        request.end()

    with front_of(script) as front:
        answer = front.raw(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert b"ETag: x" in head
    assert b"Content-Length: 4" not in head
    assert body == b""


def test_http_1_0_without_a_length_ends_with_the_connection(front_of):
    with front_of(hello) as front:
        answer = front.raw(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert answer.endswith(b"\r\n\r\nhello 0\n")
    assert b"Connection: close\r\n" in answer


def test_a_body_longer_than_its_length_is_cut_and_logged(front_of, caplog):
    def script(request):
        request.stdout(b"Content-Length: 4\r\nStatus: 200\r\n\r\nbo")
        request.stdout(b"dy and more")
        request.end()

    with front_of(script) as front:
        assert front.get("/x")[2] == b"body"
    assert "GET /x: the response's body is longer than its Content-Length" in caplog.text


def test_a_body_shorter_than_its_length_does_not_look_complete(front_of, caplog):
    def script(request):
        request.stdout(b"Content-Length: 10\r\nStatus: 200\r\n\r\nbody")
        request.end()

    with front_of(script) as front, pytest.raises(http.client.IncompleteRead):
        front.get()
    assert "6 bytes short of its Content-Length" in caplog.text


@pytest.mark.parametrize("length", [b"", b"Content-Length: 4\r\n"], ids=["without", "with"])
def test_a_response_of_an_application_that_failed_in_it_does_not_look_complete(
    front_of, caplog, length
):
    """Its app status is all that shows it. A page about the failure has a length, and is whole."""

    def script(request):
        request.stdout(length + b"Status: 200\r\n\r\npart")
        request.end(app_status=1)

    with front_of(script) as front:
        if length:
            assert front.get()[2] == b"part"
        else:
            with pytest.raises(http.client.IncompleteRead):
                front.get()
            assert "GET /: the application failed in the middle of the response" in caplog.text


def test_a_response_cut_short_does_not_look_complete(front_of, caplog):
    def script(request):
        list(request.stdin())
        request.stdout(HEAD + b"part")

    with front_of(script) as front, pytest.raises(http.client.IncompleteRead):
        front.get()
    assert "GET /: the response was cut short: " in caplog.text
    assert "before END_REQUEST" in caplog.text


def test_stderr_goes_to_the_error_log_line_by_line(front_of):
    def script(request):
        request.stderr(b"one\ntw")
        request.stdout(HEAD)
        request.stderr(b"o\ncaf\xc3\xa9 \xff\nrest")
        request.end()

    with front_of(script) as front:
        front.get()
    assert front.lines == ["one", "two", "café \\xff", "rest"]


def test_a_line_of_stderr_without_an_end_is_bounded(front_of):
    def script(request):
        for _ in range(10):
            request.stderr(b"x" * 4000)
        request.stdout(HEAD)
        request.end()

    with front_of(script) as front:
        front.get()
    assert sum(map(len, front.lines)) == 40_000
    assert max(map(len, front.lines)) < 20_000


def asked_once(script):
    """Ask a front that is made as a user makes it."""
    application = Application(script)
    front = HttpFront(("127.0.0.1", 0), application.connect)
    front.start()
    with gevent.socket.create_connection(front.address) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        while sock.recv(65536):
            pass
    front.stop()
    application.join()


def test_stderr_goes_to_our_own_by_default(capsys):
    def script(request):
        request.stderr(b"hear me\n")
        hello(request)

    asked_once(script)
    assert capsys.readouterr().err == "hear me\n"


def test_stderr_neither_controls_the_terminal_nor_forges_a_line_of_the_log(capsys):
    forged = b"2026-11-25 12:00:00,000 gfcgi[1] ERROR: forged"

    def script(request):
        request.stderr(b"\x1b[2J\xc2\x9b\ttext\r\n" + forged + b"\n\x1b[0m" + forged + b"\n")
        hello(request)

    asked_once(script)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "\\x1b[2J\\x9b\ttext\\r",
        "    " + forged.decode(),
        "\\x1b[0m" + forged.decode(),
    ]


def test_an_application_that_cannot_be_reached_is_a_502_that_says_so(front_of, caplog):
    with front_of(hello) as front:
        front.reach = refuse
        status, headers, body = front.get("/a", "POST", body=b"abc")
        assert front.get("/", "HEAD")[2] == b""
    assert status == 502
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert b"502 Bad Gateway\n\ncannot connect to the application" in body
    assert b"Connection refused" in body
    assert "POST /a: cannot connect" in caplog.text


def test_a_client_that_waits_for_100_continue_gets_its_502_and_the_connection_closes(front_of):
    with front_of(hello) as front:
        front.reach = refuse
        answer = front.raw(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
    assert answer.startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (lambda request: list(request.stdin()), b"before END_REQUEST"),
        (lambda request: request.end(), b"without a response"),
        (lambda request: request.end(protocol_status=UNKNOWN_ROLE), b"UNKNOWN_ROLE"),
        (lambda request: (request.stdout(b"Status: 200\n"), request.end()), b"within its header"),
        (lambda request: (request.stdout(b"<html>\n\n"), request.end()), b"not a header line"),
        (lambda request: request.socket.sendall(b"HTTP/1.1 200 OK"), b"version 72"),
        (lambda request: (request.stdout(b"Status: 100\n\n"), request.end()), b"interim"),
    ],
)
def test_an_answer_that_is_none_is_a_502_that_says_so(front_of, script, words):
    with front_of(script) as front:
        status, _, body = front.get()
    assert status == 502
    assert words in body
