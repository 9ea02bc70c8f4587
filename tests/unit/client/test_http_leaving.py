"""Bodies nobody reads, HTTP clients that leave or do not read, and the front's own end."""

from __future__ import annotations

import logging
import socket
import struct
from contextlib import suppress

import gevent
import gevent.event
import gevent.socket
import pytest
from application_side import HEAD, Application, hello, refuse

from gfcgi.client import body as body_module
from gfcgi.client.http import HttpFront


def early(request):
    request.stdout(HEAD + b"early")
    request.end()


@pytest.mark.parametrize("chunked", [False, True])
def test_an_early_answer_to_an_upload_arrives_and_the_connection_stays_usable(front_of, chunked):
    content = [bytes(65536)] * 100
    with front_of(early) as front:
        connection = front.connect()
        for _ in range(2):
            connection.putrequest("POST", "/")
            connection.putheader(
                *(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", 100 * 65536))
            )
            connection.endheaders(iter(content), encode_chunked=chunked)
            response = connection.getresponse()
            assert response.read() == b"early"
            assert connection.sock is not None
        connection.close()


def test_an_unread_upload_beyond_the_bound_has_its_connection_closed(front_of):
    def bounded(*args, **options):
        return body_module.RequestBody(*args, max_drain_bytes=100_000, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gfcgi.client.http_server.RequestBody", bounded)
        with front_of(early) as front, front.socket() as sock:
            sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
            with pytest.raises(OSError):  # noqa: PT011, EPIPE or ECONNRESET
                sock.sendall(bytes(100_000_000))


def test_an_upload_that_stops_after_its_early_answer_has_its_connection_closed(front_of):
    def hasty(*args, **options):
        return body_module.RequestBody(*args, linger_seconds=0.05, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gfcgi.client.http_server.RequestBody", hasty)
        with front_of(early) as front:
            answer = front.raw(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
    assert b"early" in answer


def test_a_chunked_body_that_is_none_is_refused_and_the_request_aborted(front_of):
    received = gevent.event.Event()

    def script(request):
        assert request.receive().content == b"abc"
        received.set()
        assert request.receive() is None

    with front_of(script) as front, front.socket() as sock:
        sock.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
        )
        received.wait()
        sock.sendall(b"zz\r\n")
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"chunked coding is broken" in answer


RESET = struct.pack("ii", 1, 0)
"""SO_LINGER for a close that resets the connection."""

LEAVE_AFTER = {
    "before the response": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "in mid-upload": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
    "in mid-chunk": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc",
}


@pytest.mark.parametrize("sent", LEAVE_AFTER.values(), ids=LEAVE_AFTER.keys())
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("answering", [False, True])
def test_an_http_client_that_leaves_aborts_its_request(front_of, sent, reset, answering, capfd):
    here = gevent.event.Event()
    records = []

    def script(request):
        if answering:
            request.stdout(HEAD + b"part")
        here.set()
        while (one := request.receive()) is not None:
            records.append(one.content)

    with front_of(script) as front, front.socket() as sock:
        sock.sendall(sent)
        here.wait()
        if answering:
            assert sock.recv(65536)
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.close()
        front.application.join()
    if sent.startswith(b"POST"):
        assert b"".join(records) == b"abc"
        assert b"" not in records, "a body cut short must not look complete"
    assert capfd.readouterr().err == ""


def test_a_client_that_leaves_within_its_headers_is_no_error(front_of, capfd):
    with front_of(hello) as front:
        sock = front.socket()
        sock.sendall(b"GET / HTTP/1.1\r\nHo")
        gevent.idle()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.close()
        gevent.idle()
    assert capfd.readouterr().err == ""


def test_a_client_whose_leaving_shows_only_in_the_response_aborts_its_request(front_of, capfd):
    asked = gevent.event.Event()
    left = gevent.event.Event()

    def script(request):
        asked.set()
        left.wait()
        request.stdout(HEAD)
        request.wait_closed()

    with front_of(script) as front:
        sock = front.socket()
        # What looks like a pipelined request ends the look-out.
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nG")
        asked.wait()
        gevent.idle()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.close()
        left.set()
        front.application.join()
    assert capfd.readouterr().err == ""


def test_a_client_that_left_before_it_was_told_to_continue_has_left():
    ours, theirs = gevent.socket.socketpair()
    theirs.close()
    with ours:
        body = body_module.RequestBody(
            None, ours, content_length=1, chunked=False, expect_continue=True
        )
        with pytest.raises(body_module.HttpClientGone, match="Broken pipe"):
            body.start(pytest.fail)


def test_a_pipelined_request_is_not_taken_for_leaving(front_of):
    def script(request):
        list(request.stdin())
        gevent.idle()
        request.stdout(HEAD + b"slow")
        request.end()

    with front_of(script) as front:
        answer = front.raw(
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
    assert answer.count(b"slow") == 2


def test_a_client_that_never_reads_slows_the_application_down(front_of):
    sent = 0
    closed = gevent.event.Event()

    def script(request):
        nonlocal sent
        request.stdout(HEAD)
        with suppress(OSError):  # at last, when the front closes
            while True:
                request.stdout(bytes(65535))
                sent += 1
        closed.set()

    with front_of(script) as front, front.socket() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.recv(1)
        gevent.idle()
        assert sent < 1000
        sock.close()
        closed.wait()


def test_stop_closes_idle_connections_at_once_and_lets_a_running_request_end(front_of):
    running = gevent.event.Event()
    go_on = gevent.event.Event()

    def script(request):
        running.set()
        go_on.wait()
        hello(request)

    with front_of(script) as front, front.socket() as idle:
        connection = front.connect()
        connection.request("GET", "/")
        running.wait()
        stopping = gevent.spawn(front.front.stop, 60)
        assert idle.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            gevent.socket.create_connection(front.front.address)
        go_on.set()
        response = connection.getresponse()
        assert response.read() == b"hello 0\n"
        assert response.headers["Connection"] == "close"
        stopping.get()
        connection.close()


def test_stop_cuts_what_does_not_end(front_of):
    with front_of(lambda request: request.wait_closed()) as front, front.socket() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        gevent.idle()
        front.front.stop(0.01)
        front.application.join()
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 500 ")


def test_an_ipv6_address_will_do_and_a_front_that_never_started_can_be_stopped():
    application = Application(hello)
    front = HttpFront(("::1", 0), application.connect)
    front.stop()
    try:
        front.start()
    except OSError:
        pytest.skip("no IPv6 here")
    assert front.address[1] != 0
    with gevent.socket.create_connection(front.address) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 OK")
    front.stop()
    application.join()


def test_an_address_in_use_is_an_error_at_start(front_of):
    with front_of(hello) as front, pytest.raises(OSError, match="in use"):
        HttpFront(front.front.address, refuse).start()


def test_the_log_has_one_line_for_each_request(front_of, caplog):
    caplog.set_level(logging.INFO, logger="gfcgi.http")
    with front_of(hello) as front:
        front.get("/a?b")
        front.raw(b"GET /\x1b[31m HTTP/1.0\r\n\r\n")
        front.reach = refuse
        front.raw(b"GET /c HTTP/1.0\r\n\r\n")
    lines = [record.getMessage() for record in caplog.records if record.levelno < logging.ERROR]
    assert len(lines) == 3
    assert lines[0].startswith('127.0.0.1 "GET /a?b HTTP/1.1" 200 ')
    assert lines[1].startswith('127.0.0.1 "GET /\\x1b[31m HTTP/1.0" 400: ')
    assert lines[2].startswith('127.0.0.1 "GET /c HTTP/1.0" 502 ')


def test_a_malformed_request_line_is_cut_in_the_log(front_of, caplog):
    caplog.set_level(logging.INFO, logger="gfcgi.http")
    with front_of(hello) as front:
        assert front.raw(b"garbage " * 900 + b"\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert front.raw(b"garbage " * 9000).startswith(b"HTTP/1.1 414 ")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert max(map(len, lines)) < 300
