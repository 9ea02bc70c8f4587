"""One request over a transport connection, against applications scripted from the specification."""

from __future__ import annotations

import io
import socket
from contextlib import closing

import gevent
import gevent.event
import gevent.socket
import pytest
from application_side import Application
from webserver_side import AUTHORIZER, FILTER, STDIN, STDOUT, record

from gfcgi.client.request import Exchange
from gfcgi.client.response import ResponseHead
from gfcgi.errors import LocalProtocolError, RemoteProtocolError, TransportClosed
from gfcgi.protocol import EndRequest, Role, Stderr, Stdout

PARAMS = {"REQUEST_METHOD": "GET", "X": "caf\xe9"}
HEAD = b"Status: 200 OK\r\n\r\n"


def hello(request):
    request.stdout(HEAD + b"hello")
    request.end()


def ask(script, params=PARAMS, **options):
    """All events of one request, the scripted application's end awaited."""
    application = Application(script)
    events = list(Exchange(application.connect(), params, **options).answer())
    application.join()
    return events


def body(events):
    return b"".join(event.data for event in events if isinstance(event, Stdout))


def test_the_params_arrive_and_the_answer_comes_in_its_parts():
    seen = []

    def script(request):
        seen.append((request.request_id, request.role, request.flags, request.params))
        request.stderr(b"note\n")
        request.stdout(b"Status: 201 Created\r\n")
        request.stdout(b"X: y\r\n\r\nfirst")
        request.stdout(b"second")
        request.stderr(b"more\n")
        request.end(app_status=3)

    assert ask(script, request_id=65535) == [
        Stderr(65535, b"note\n"),
        ResponseHead(201, "Created", (("X", "y"),)),
        Stdout(65535, b"first"),
        Stdout(65535, b"second"),
        Stderr(65535, b"more\n"),
        EndRequest(65535, 3, 0),
    ]
    assert seen == [(65535, 1, 0, PARAMS)]


@pytest.mark.parametrize(
    "source",
    [
        b"abcdef",
        bytearray(b"abcdef"),
        memoryview(b"abcdef"),
        [b"abc", b"", b"def"],
        iter([b"", b"abcdef"]),
        io.BytesIO(b"abcdef"),
    ],
    ids=lambda source: type(source).__name__,
)
def test_a_body_may_be_bytes_an_iterable_or_a_file(source):
    received = []

    def script(request):
        received.append(b"".join(request.stdin()))
        hello(request)

    assert body(ask(script, stdin=source)) == b"hello"
    assert received == [b"abcdef"]


def test_without_a_body_the_empty_stdin_is_sent():
    def script(request):
        assert list(request.stdin()) == []
        hello(request)

    assert body(ask(script)) == b"hello"


def test_a_filter_gets_its_data_after_its_stdin():
    def script(request):
        assert request.role == FILTER
        assert b"".join(request.stdin()) == b"in"
        assert b"".join(request.data()) == b"data"
        hello(request)

    assert body(ask(script, role=Role.FILTER, stdin=b"in", data=[b"da", b"ta"])) == b"hello"


def test_an_authorizer_is_sent_params_alone():
    def script(request):
        assert request.role == AUTHORIZER
        hello(request)
        assert request.receive() is None

    assert body(ask(script, role=Role.AUTHORIZER, stdin=b"not for it")) == b"hello"


def test_a_socket_of_the_standard_library_will_do_and_is_taken_over():
    application = Application(hello)
    sock = socket.socket(fileno=application.connect().detach())
    assert body(Exchange(sock, PARAMS).answer()) == b"hello"
    assert sock.fileno() == -1
    application.join()


def test_body_and_answer_flow_at_once():
    """An echo of far more than the sockets hold would stop if one waited for the other."""
    chunks = [bytes([number]) * 65536 for number in range(200)]

    def script(request):
        request.stdout(HEAD)
        for content in request.stdin():
            request.stdout(content)
        request.end()

    assert body(ask(script, stdin=chunks)) == b"".join(chunks)


def test_an_answer_before_the_body_is_read_ends_the_sending():
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield bytes(65536)

    assert body(ask(hello, stdin=endless())) == b"hello"
    assert taken < 100


def test_an_answer_is_read_though_the_application_closed_before_the_body_was_sent():
    def script(request):
        request.socket.shutdown(socket.SHUT_RD)
        gevent.sleep(0)
        hello(request)

    assert body(ask(script, stdin=[bytes(65536)] * 100)) == b"hello"


def test_a_body_is_not_read_ahead_of_the_application():
    taken = 0

    def chunks():
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield bytes(65536)

    answered = gevent.event.Event()

    def script(request):
        request.stdout(HEAD)
        answered.wait()

    application = Application(script)
    with closing(Exchange(application.connect(), PARAMS, stdin=chunks()).answer()) as answer:
        assert isinstance(next(answer), ResponseHead)
        gevent.idle()  # until nothing can go on
        assert 0 < taken < 100
    answered.set()
    application.join()


def test_a_refusal_without_a_response_has_only_its_end():
    assert ask(lambda request: request.end(protocol_status=2)) == [EndRequest(1, 0, 2)]


@pytest.mark.parametrize("sent", [b"", HEAD, HEAD + b"part"])
def test_a_closed_transport_connection_is_not_the_end_of_the_answer(sent):
    def script(request):
        for _ in request.stdin():
            pass
        if sent:
            request.stdout(sent)

    with pytest.raises(TransportClosed, match="before END_REQUEST"):
        ask(script)


def test_a_reset_is_a_closed_transport_connection_and_tells_its_cause():
    def script(request):
        pass  # closes with the body unread

    with pytest.raises(TransportClosed) as caught:
        ask(script, stdin=bytes(1_000_000))
    assert isinstance(caught.value.__cause__, OSError)


def test_an_application_that_never_was_there_is_a_closed_transport_connection():
    ours, theirs = gevent.socket.socketpair()
    theirs.close()
    with pytest.raises(TransportClosed):
        list(Exchange(ours, PARAMS).answer())


def test_a_record_cut_short_is_told_as_such():
    def script(request):
        list(request.stdin())
        request.socket.sendall(record(STDOUT, 1, HEAD)[:-4])

    with pytest.raises(TransportClosed, match="middle of a record"):
        ask(script)


def test_an_answer_that_ends_within_its_headers_is_an_error():
    def script(request):
        request.stdout(b"Status: 200 OK\r\n")
        request.end()

    with pytest.raises(RemoteProtocolError, match="within its header block"):
        ask(script)


def test_bytes_that_are_not_fastcgi_are_an_error():
    with pytest.raises(RemoteProtocolError, match="version"):
        ask(lambda request: request.socket.sendall(b"HTTP/1.1 200 OK\r\n\r\n"))


def test_what_the_body_raises_aborts_the_request_and_is_raised():
    received = []

    def broken():
        yield b"first"
        raise KeyError("source")

    def script(request):
        with pytest.raises(AssertionError, match="ended within a stream"):
            received.extend(request.stdin())
        received.append(request.receive())

    application = Application(script)
    with pytest.raises(KeyError, match="source"):
        list(Exchange(application.connect(), PARAMS, stdin=broken()).answer())
    application.join()
    # The empty record was not among them: a body cut short must not look complete.
    assert received == [b"first", None]


def test_params_beyond_latin_1_are_our_own_error():
    application = Application(hello)
    with pytest.raises(LocalProtocolError, match="latin-1"):
        list(Exchange(application.connect(), {"X": "€"}).answer())
    application.join()
    assert application.requests == 0


def test_leaving_the_answer_closes_the_transport_connection():
    def script(request):
        request.stdout(HEAD)
        request.wait_closed()

    application = Application(script)
    with closing(Exchange(application.connect(), PARAMS).answer()) as answer:
        assert isinstance(next(answer), ResponseHead)
    application.join()


def test_abort_from_another_greenlet_wakes_who_waits_for_the_answer():
    def script(request):
        request.stdout(HEAD)
        request.wait_closed()

    class Gone(Exception):
        pass

    application = Application(script)
    exchange = Exchange(application.connect(), PARAMS)
    answer = exchange.answer()
    assert isinstance(next(answer), ResponseHead)
    gevent.spawn(exchange.abort, Gone("first"))
    gevent.spawn(exchange.abort, Gone("second"))
    with pytest.raises(Gone, match="first"):
        next(answer)
    application.join()
    exchange.abort(Gone("late"))  # harmless on what is closed
    exchange.close()


def test_an_application_that_says_nothing_is_given_up_after_the_timeout():
    application = Application(lambda request: request.wait_closed())
    with pytest.raises(TimeoutError):
        list(Exchange(application.connect(), PARAMS, timeout_seconds=0.05).answer())
    application.join()


def test_records_of_other_requests_and_empty_ones_are_not_passed_on():
    def script(request):
        request.socket.sendall(record(STDOUT, 9, b"not ours") + record(STDIN, 9, b""))
        request.stderr(b"")
        hello(request)

    assert ask(script) == [
        ResponseHead(200, "OK", ()),
        Stdout(1, b"hello"),
        EndRequest(1, 0, 0),
    ]
