"""§5.3 STDIN, STDOUT and STDERR as streams."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest
import webserver_side as wire
from running import RunningServer, wait_until
from webserver_side import TransportConnection


def test_a_body_reaches_the_application_while_it_is_still_being_sent(
    server: RunningServer, connection: TransportConnection
):
    values = wire.cgi_params("POST", "/part", "key=streamed&bytes=5", b"helloworld")
    connection.send(wire.begin_request(1), wire.params(1, values))
    connection.send(wire.stdin(1, b"hello", end=False))
    server.wait_noted("streamed", "waiting")
    server.release("streamed")
    connection.send(wire.stdin(1, b"world"))
    assert connection.response(1).body == b"5 5"


@pytest.mark.parametrize("chunk", [1, 100, 8192, 65535])
def test_a_body_is_the_same_in_records_of_any_size(connection: TransportConnection, chunk: int):
    body = bytes(range(256)) * (4 if chunk == 1 else 2000)
    values = wire.cgi_params("POST", "/digest", body=body)
    connection.send(wire.begin_request(1), wire.params(1, values))
    connection.send(wire.stdin(1, body, chunk=chunk, padding=chunk % 8))
    expected = f"{len(body)} {hashlib.sha256(body).hexdigest()}"
    assert connection.response(1).body.decode() == expected


def test_a_body_without_a_length_ends_with_its_stream(connection: TransportConnection):
    values = wire.cgi_params("POST", "/echo")
    values["CONTENT_LENGTH"] = "-1"
    connection.send(wire.request(1, values, b"as long as it takes"))
    assert connection.response(1).body == b"as long as it takes"


def test_the_end_of_the_connection_before_the_end_of_stdin_is_no_end_of_the_body(
    server: RunningServer,
):
    for key, length in (("lost-known", "100"), ("lost-unknown", "-1")):
        values = wire.cgi_params("POST", "/digest", f"key={key}")
        values["CONTENT_LENGTH"] = length
        with server.connect() as connection:
            connection.send(wire.begin_request(1), wire.params(1, values))
            connection.send(wire.stdin(1, b"half a body", end=False))
            server.wait_noted(key, "reading")
        server.wait_noted(key, "aborted")


def test_half_a_record_of_stdin_is_no_end_of_the_body(server: RunningServer):
    values = wire.cgi_params("POST", "/digest", "key=half")
    values["CONTENT_LENGTH"] = "-1"
    with server.connect() as connection:
        connection.send(wire.begin_request(1), wire.params(1, values))
        connection.send(wire.record(wire.STDIN, 1, b"x" * 1000)[:500])
        server.wait_noted("half", "reading")
    server.wait_noted("half", "aborted")


def test_stdin_that_ends_before_content_length_is_an_error_in_the_application(
    server: RunningServer, connection: TransportConnection
):
    values = wire.cgi_params("POST", "/digest", "key=short")
    values["CONTENT_LENGTH"] = "100"
    connection.send(wire.request(1, values, b"not a hundred", keep_conn=True))
    assert connection.response(1).status == 400
    assert server.noted("short") == "aborted"
    connection.send(wire.request(1, wire.cgi_params()))
    assert connection.response(1).status == 200


@pytest.mark.parametrize("late", [b"more", b""])
def test_stdin_after_its_end_ends_the_request(
    server: RunningServer, connection: TransportConnection, late: bytes
):
    key = f"stdin-twice-{len(late)}"
    values = wire.cgi_params("POST", "/until_aborted", f"key={key}", b"...")
    connection.send(wire.request(1, values, b"...", keep_conn=True))
    connection.send(wire.record(wire.STDIN, 1, late))
    assert connection.response(1).status == 400
    server.wait_noted(key, "aborted")
    connection.send(wire.request(1, wire.cgi_params()))
    assert connection.response(1).status == 200


def test_headers_and_body_are_one_record_and_all_ends_come_with_end_request(
    connection: TransportConnection,
):
    connection.send(wire.request(1, wire.cgi_params()))
    response = connection.response(1)
    kinds = [(record.type, bool(record.content)) for record in response.records]
    assert kinds == [(wire.STDOUT, True), (wire.STDOUT, False), (wire.END_REQUEST, True)]


def test_a_response_is_sent_chunk_by_chunk_as_it_is_made(
    server: RunningServer, connection: TransportConnection
):
    connection.send(wire.request(1, wire.cgi_params(path="/chunks", query="count=5&size=10")))
    response = connection.response(1)
    contents = [record.content for record in response.records if record.type == wire.STDOUT]
    assert contents[0].endswith(b"\r\n\r\n" + b"x" * 10)
    assert contents[1:] == [b"x" * 10] * 4 + [b""]


def test_stderr_is_sent_at_once_and_its_stream_is_ended(
    server: RunningServer, connection: TransportConnection
):
    connection.send(wire.request(1, wire.cgi_params(path="/stderr", query="key=stderr")))
    first = connection.read_any()
    assert (first.type, first.content) == (wire.STDERR, b"something to say\n")
    server.release("stderr")
    response = connection.response(1)
    assert response.body == b"hello world"
    assert response.stderr_ended
    assert response.stdout_ended


def test_an_early_answer_leaves_the_connection_and_the_web_servers_send_unbroken(
    server: RunningServer, connection: TransportConnection
):
    body = b"b" * 4_000_000
    for _ in range(3):
        values = wire.cgi_params("POST", "/hello", body=body)
        connection.send(wire.begin_request(1, keep_conn=True), wire.params(1, values))
        assert connection.response(1).body == b"hello world"
        connection.send(wire.stdin(1, body))
    connection.send(wire.request(1, wire.cgi_params()))
    assert connection.response(1).body == b"hello world"


def test_an_early_answer_without_keep_conn_waits_for_the_web_server_to_finish_its_send():
    body = b"b" * 4_000_000
    with RunningServer(tcp=True) as server:
        for _ in range(5):
            with server.connect() as connection:
                values = wire.cgi_params("POST", "/hello", body=body)
                connection.send(wire.request(1, values, body))
                assert connection.response(1).body == b"hello world"
                connection.wait_closed()


def test_a_body_that_was_read_in_part_leaves_the_connection_usable(
    server: RunningServer, connection: TransportConnection
):
    body = b"b" * 300_000
    values = wire.cgi_params("POST", "/part", "key=in-part&bytes=7", body)
    server.release("in-part")
    connection.send(wire.request(1, values, body, keep_conn=True))
    assert connection.response(1).body == b"7 299993"
    connection.send(wire.request(1, wire.cgi_params()))
    assert connection.response(1).body == b"hello world"


def test_too_long_a_body_that_nobody_reads_is_not_drained_for_ever():
    with RunningServer(max_drain_bytes=100_000) as server, server.connect() as connection:
        values = wire.cgi_params("POST", "/hello", body=b"b" * 50_000_000)
        connection.send(wire.begin_request(1, keep_conn=True), wire.params(1, values))
        assert connection.response(1).body == b"hello world"
        with suppress(ConnectionError):
            for _ in range(1000):
                connection.send(wire.stdin(1, b"b" * 50_000, end=False))
            pytest.fail("50 MB were drained, where 100 KB are allowed")
        wait_until(lambda: server.state()["connections"] == 0, "the connection to be closed")
