"""HTTP clients that say nothing, half of it, or do not read: none is waited for for ever."""

from __future__ import annotations

from contextlib import suppress

import gevent
import gevent.event
import pytest
from application_side import HEAD, hello

from gfcgi import limits


def rest(sock):
    return b"".join(iter(lambda: sock.recv(65536), b""))


@pytest.mark.parametrize(
    "sent",
    [
        b"G",
        b"\r\n",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
    ],
)
def test_half_a_head_is_answered_with_408_and_closed(front_of, monkeypatch, sent):
    monkeypatch.setattr(limits, "HTTP_HEAD_SECONDS", 0.05)
    with front_of(hello) as front:
        answer = front.raw(sent)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"\r\nConnection: close\r\n" in answer


def test_a_head_that_comes_byte_by_byte_has_one_time_for_all_of_it(front_of, monkeypatch):
    monkeypatch.setattr(limits, "HTTP_HEAD_SECONDS", 0.2)
    with front_of(hello) as front, front.socket() as sock:
        reading = gevent.spawn(rest, sock)
        while not reading.ready():
            try:
                sock.sendall(b"X")
            except OSError:
                break  # it has been closed meanwhile
            gevent.sleep(0.01)
        assert reading.get().startswith(b"HTTP/1.1 408 ")


def test_many_half_heads_keep_nobody_else_from_being_served_and_all_go(front_of, monkeypatch):
    with front_of(hello) as front:
        halves = [front.socket() for _ in range(200)]
        monkeypatch.setattr(limits, "HTTP_HEAD_SECONDS", 1.0)
        for sock in halves:
            sock.sendall(b"GET / HTTP/1.1\r\nHo")
        assert front.get()[0] == 200
        for sock in halves:
            assert rest(sock).startswith(b"HTTP/1.1 408 ")
            sock.close()
        while front.front._server._connections:
            gevent.sleep(0.001)


def test_a_client_that_says_nothing_is_left_without_a_word(front_of, monkeypatch):
    monkeypatch.setattr(limits, "HTTP_HEAD_SECONDS", 0.05)
    with front_of(hello) as front:
        assert front.raw(b"") == b""


def test_a_kept_connection_is_closed_when_no_further_request_comes(front_of, monkeypatch):
    monkeypatch.setattr(limits, "HTTP_IDLE_SECONDS", 0.05)
    with front_of(hello) as front:
        answer = front.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1") == 1


BODIES = {
    "length": b"Content-Length: 9\r\n\r\nabc",
    "nothing of it": b"Content-Length: 9\r\n\r\n",
    "chunk": b"Transfer-Encoding: chunked\r\n\r\n9\r\nabc",
    "size": b"Transfer-Encoding: chunked\r\n\r\n9",
    "end of chunk": b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc",
    "trailer": b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n",
}


@pytest.mark.parametrize("sent", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("answering", [False, True])
def test_a_body_that_stands_still_ends_its_request(front_of, monkeypatch, sent, answering):
    monkeypatch.setattr(limits, "HTTP_BODY_SECONDS", 1.0 if answering else 0.1)
    records = []

    def script(request):
        if answering:
            request.stdout(HEAD + b"part")
        while (one := request.receive()) is not None:
            records.append(one.content)

    with front_of(script) as front:
        answer = front.raw(b"POST / HTTP/1.1\r\nHost: x\r\n" + sent)
    if answering:
        assert b"part" in answer
        assert not answer.endswith(b"\r\n0\r\n\r\n"), "it must not look complete"
    else:
        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"" not in records, "a body cut short must not look complete"


def test_a_body_is_not_late_while_the_application_does_not_take_it(front_of, monkeypatch):
    monkeypatch.setattr(limits, "HTTP_BODY_SECONDS", 1.0)
    content = bytes(20_000_000)

    def script(request):
        gevent.sleep(1.5)
        hello(request)

    with front_of(script) as front:
        status, _, body = front.get("/", "POST", body=content)
    assert (status, body) == (200, b"hello 20000000\n")


def test_a_client_that_reads_nothing_has_its_request_aborted(front_of, monkeypatch):
    monkeypatch.setattr(limits, "HTTP_SEND_SECONDS", 0.2)
    closed = gevent.event.Event()

    def script(request):
        request.stdout(HEAD)
        with suppress(OSError):  # at last, when the front closes
            while True:
                request.stdout(bytes(65535))
        closed.set()

    with front_of(script) as front, front.socket() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        closed.wait()
