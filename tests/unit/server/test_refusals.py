"""gfcgi.server.connection: what malformed input does to a running server, and its log line."""

from __future__ import annotations

import socket

import pytest
import webserver_side as wire
from wsgi_side import Gate, begin, echo, hello

from gfcgi.errors import RequestAborted


def test_a_role_that_does_not_exist_is_refused_with_a_page_and_logged(serving, caplog):
    with serving(hello) as site, site.connect() as connection:
        connection.send(begin(role=9, keep_conn=False), wire.stdin(1, b""))
        response = connection.response()
        assert (response.protocol_status, response.status) == (wire.UNKNOWN_ROLE, 500)
        assert response.body
        connection.wait_closed()
    (line,) = [record.getMessage() for record in caplog.records]
    assert "role 9" in line
    assert "; request 1 is given up" in line
    assert "UNIX socket, pid" in line


def test_a_refusal_is_logged_where_the_kernel_does_not_say_who_connected(
    serving, caplog, monkeypatch
):
    """As on macOS, where the socket module has no SO_PEERCRED."""
    monkeypatch.delattr(socket, "SO_PEERCRED")
    with serving(hello) as site, site.connect() as connection:
        connection.send(begin(role=9, keep_conn=False), wire.stdin(1, b""))
        assert connection.response().status == 500
        connection.wait_closed()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("UNIX socket: ")


def test_a_malformed_request_hurts_no_other_of_its_connection(serving, caplog):
    gate = Gate()
    with serving(gate) as site, site.connect() as connection:
        connection.send(begin(1), wire.stdin(1, b""))
        gate.begun.wait()
        connection.send(wire.begin_request(2, keep_conn=True), wire.stdin(2, b"too early"))
        assert connection.response(2).status == 400
        gate.open.set()
        assert connection.response(1).body == b"through"
    assert len(caplog.records) == 1


def test_a_request_that_goes_wrong_while_it_runs_is_aborted_and_refused(serving, caplog):
    gate = Gate(echo)
    with serving(gate) as site, site.connect() as connection:
        connection.send(begin())
        gate.begun.wait()
        connection.send(wire.params(1, {"LATE": "1"}))
        assert connection.response().status == 400
        gate.ended.wait()
        assert isinstance(gate.error, RequestAborted)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (wire.record(wire.STDIN, 1, version=9), "version 9"),
        (wire.stdin(0, b"x"), "request id 0"),
        (wire.begin_request(1)[:11], "middle of a record"),
        (wire.begin_request(1), "in the PARAMS"),
    ],
    ids=["version", "null id", "cut record", "cut params"],
)
def test_an_error_of_the_connection_closes_it_and_is_logged_once_with_the_peer(
    serving, caplog, content, word
):
    with serving(hello) as site, site.connect() as connection:
        connection.send(content)
        connection.finish_sending()
        connection.wait_closed()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert word in record.getMessage()
    assert "UNIX socket, pid" in record.getMessage()
    assert "the transport connection is given up" in record.getMessage()


@pytest.mark.parametrize(
    ("software", "status"),
    [("HAProxy 2.6.12", wire.REQUEST_COMPLETE), ("nginx/1.22.1", wire.OVERLOADED)],
)
@pytest.mark.parametrize(
    "limit", ["max_concurrent_requests_per_connection", "max_concurrent_requests"]
)
def test_haproxy_is_not_told_overloaded_on_which_it_would_end_other_requests(
    serving, software, status, limit
):
    gate = Gate()
    with serving(gate, queue_timeout_seconds=0, **{limit: 2}) as site, site.connect() as connection:
        for request_id in (1, 2, 3):
            begun = begin(request_id, SERVER_SOFTWARE=software)
            connection.send(begun, wire.stdin(request_id, b""))
        response = connection.response(3)
        assert (response.protocol_status, response.status) == (status, 503)
        gate.open.set()
        for request_id in (1, 2):
            assert connection.response(request_id).body == b"through"
