"""The request of an HTTP client as the front hands it to the application."""

from __future__ import annotations

import gevent
import gevent.event
import gevent.queue
import pytest
from application_side import HEAD, hello

from gfcgi import __version__


def test_a_request_arrives_as_cgi_params(front_of):
    seen = []

    def script(request):
        seen.append(request.params)
        hello(request)

    with front_of(script) as front:
        host, port = front.front.address
        status, headers, body = front.get(
            "/caf%C3%A9/a%20b?x=%201",
            headers={"X-A": "caf\xe9", "Proxy": "evil", "Cookie": "a=1", "X_B": "dropped"},
        )
    assert (status, body) == (200, b"hello 0\n")
    assert headers["Server"] == f"gfcgi/{__version__}"
    (params,) = seen
    assert params.pop("REMOTE_PORT").isdigit()
    assert params == {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": f"gfcgi/{__version__}",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": host,
        "SERVER_ADDR": host,
        "SERVER_PORT": str(port),
        "REQUEST_SCHEME": "http",
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": "/caf%C3%A9/a%20b?x=%201",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/caf\xc3\xa9/a b",
        "QUERY_STRING": "x=%201",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": f"{host}:{port}",
        "HTTP_ACCEPT_ENCODING": "identity",
        "HTTP_X_A": "caf\xe9",
        "HTTP_COOKIE": "a=1",
    }


def test_repeated_headers_and_cookies_become_one_param(front_of):
    seen = []

    def script(request):
        seen.append(request.params)
        hello(request)

    with front_of(script) as front:
        front.raw(
            b"GET / HTTP/1.1\r\nConnection: close\r\nHost: x\r\n"
            b"X-A: 1\r\nCookie: a=1\r\nX-A: 2\r\nCookie: b=2\r\n\r\n"
        )
    assert seen[0]["HTTP_X_A"] == "1, 2"
    assert seen[0]["HTTP_COOKIE"] == "a=1; b=2"


def test_a_body_with_a_length_arrives_whole(front_of):
    seen = []

    def script(request):
        seen.append((request.params, b"".join(request.stdin())))
        request.stdout(HEAD)
        request.end()

    content = bytes(range(256)) * 4096
    with front_of(script) as front:
        front.get("/", "POST", body=content, headers={"Content-Type": "a/b"})
    params, received = seen[0]
    assert received == content
    assert params["CONTENT_LENGTH"] == str(len(content))
    assert params["CONTENT_TYPE"] == "a/b"


def test_a_body_that_came_together_with_its_headers_arrives(front_of):
    with front_of(hello) as front:
        answer = front.raw(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
        )
    assert b"hello 3\n" in answer


def test_a_chunked_body_arrives_chunk_by_chunk_without_a_length(front_of):
    seen = []
    arrived = gevent.event.Event()

    def script(request):
        seen.append(request.params)
        for content in request.stdin():
            seen.append(content)
            arrived.set()
        request.stdout(HEAD)
        request.end()

    with front_of(script) as front, front.socket() as sock:
        sock.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        )
        for chunk in (b"first", b"x" * 20_000, b"1"):
            del seen[1:]
            arrived.clear()
            sock.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            while b"".join(seen[1:]) != chunk:
                arrived.clear()
                arrived.wait()
        sock.sendall(b"0\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
    assert seen[0]["HTTP_TRANSFER_ENCODING"] == "chunked"
    assert "CONTENT_LENGTH" not in seen[0]


def test_a_slow_body_with_a_length_is_handed_on_as_it_comes(front_of):
    pieces = gevent.queue.Queue()

    def script(request):
        for content in request.stdin():
            pieces.put(content)
        request.stdout(HEAD)
        request.end()

    with front_of(script) as front, front.socket() as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
        for piece in (b"a", b"b", b"cd"):
            sock.sendall(piece)
            assert pieces.get() == piece
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


def test_who_expects_100_continue_is_told_to_go_on(front_of):
    with front_of(hello) as front, front.socket() as sock:
        sock.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
        assert sock.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"abc")
        received = b""
        while b"hello 3\n" not in received:
            received += sock.recv(65536)
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert received.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("target", [b"no/path", b"example.org:443", b"/a%00"])
def test_a_target_without_a_path_is_refused(front_of, target):
    with front_of(hello) as front:
        answer = front.raw(b"CONNECT %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % target)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"request target" in answer


def test_a_transfer_coding_nobody_decodes_is_refused_and_what_follows_is_no_request(front_of):
    with front_of(hello) as front:
        answer = front.raw(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        )
    assert answer.startswith(b"HTTP/1.1 501 ")
    assert answer.count(b"HTTP/1.1") == 1


def test_what_is_not_http_is_refused_and_logged_without_control_characters(front_of, caplog):
    with front_of(hello) as front:
        assert front.raw(b"\x1b[31m\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert caplog.text
    assert "\x1b" not in caplog.text


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nconnection:Close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: x\r\nConnection: close\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ],
)
@pytest.mark.parametrize("status", [b"200 OK", b"204 No Content", b"304 Not Modified"])
def test_the_last_answer_on_a_connection_says_so_once(front_of, head, status):
    def script(request):
        request.stdout(b"Status: %b\r\nConnection: keep-alive\r\n\r\n" % status)
        request.end()

    with front_of(script) as front:
        answer = front.raw(head + b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
        assert front.application.requests == 1
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert answer.lower().count(b"\r\nconnection: close\r\n") == 1
    assert b"keep-alive" not in answer.lower()


def test_an_answer_that_is_not_the_last_does_not_say_so(front_of):
    with front_of(hello) as front:
        one = b"GET / HTTP/1.1\r\nHost: x\r\n"
        answer = front.raw(one + b"\r\n" + one + b"Connection: close\r\n\r\n")
    assert answer.count(b"hello 0\n") == 2
    assert answer.lower().count(b"\r\nconnection: close\r\n") == 1


def test_an_empty_line_before_a_request_is_ignored(front_of):
    """Old clients send one after a body (RFC 9112 §2.2)."""
    with front_of(hello) as front:
        answer = front.raw(
            b"\r\nPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
            b"\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        assert front.raw(b"\r\n\r\nGET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert b"hello 3\n" in answer
    assert b"hello 0\n" in answer
